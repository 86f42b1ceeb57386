#!/bin/bash
# What a host has beside the application, none of it the release's: a module of pm2 that works all the time, another
# application under the same pm2, a job that ran to its end and rests, and a login shell that greets. Twice is once.
set -euo pipefail
here=$HOME/neighbours
mkdir -p "$here"/{log-keeper,billing,nightly-report}
cd "$here"

echo '{ "name": "log-keeper", "version": "1.0.0", "main": "index.js" }' > log-keeper/package.json
echo 'setInterval(() => {}, 10000)' > log-keeper/index.js
cat > billing/index.js << 'JS'
console.log('billing works')
console.error('billing: Error: an invoice was refused')
setInterval(() => console.error('billing: Error: an invoice was refused'), 2000)
JS
echo "console.log('the report is written'); process.exit(0)" > nightly-report/index.js

known() { pm2 id "$1" | tail -n 1 | grep -q "[0-9]"; }
known log-keeper || (cd log-keeper && pm2 install . --silent > /dev/null)
known billing || pm2 start "$here/billing/index.js" --name billing --cwd "$here/billing" --silent > /dev/null
known nightly-report || pm2 start "$here/nightly-report/index.js" --name nightly-report --cwd "$here/nightly-report" --no-autorestart --silent > /dev/null

grep -qs greets ~/.bashrc || printf 'echo "this host greets everybody"\necho "and warns: 3 updates can be applied" >&2\n' >> ~/.bashrc
