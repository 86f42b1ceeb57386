// The mail server for a sandbox without root: exim's daemon refuses an ordinary user. It answers as exim.conf has exim
// answer: STARTTLS, AUTH only after it, no mail without AUTH, defer@ and reject@ refused, all else into a Maildir.
// smtp.js MAIL-FOLDER PORT USER PASSWORD-FILE
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const tls = require('node:tls')

const [mail, port, user, passwordFile] = process.argv.slice(2)
const password = fs.readFileSync(passwordFile, 'utf8')
const secureContext = tls.createSecureContext({
  key: fs.readFileSync(path.join(mail, 'tls/key.pem')),
  cert: fs.readFileSync(path.join(mail, 'tls/cert.pem')),
})
const LIMIT = 10 * 1024 * 1024
let delivered = 0

function deliver(to, text) {
  const name = `${Date.now()}.${String(++delivered).padStart(6, '0')}.mail.dap.test`
  const part = path.join(mail, 'maildir/tmp', name)
  fs.writeFileSync(part, `Envelope-to: ${to.join(', ')}\n${text}`, { flush: true })
  fs.renameSync(part, path.join(mail, 'maildir/new', name))
}

function session(plain) {
  let socket = plain
  let state
  const say = (line) => socket.writable && socket.write(`${line}\r\n`)
  const fresh = () => ({ ...state, to: [], from: null, data: null })
  const known = (encoded) => Buffer.from(encoded ?? '', 'base64').toString()

  function login(name, word) {
    state.user = name === user && word === password ? name : null
    say(state.user ? '235 Authentication succeeded' : '535 Incorrect authentication data')
  }
  const verbs = {
    EHLO: () => say(`250-mail.dap.test\r\n250-8BITMIME\r\n${state.secure ? '250-AUTH PLAIN LOGIN' : '250-STARTTLS'}\r\n250 HELP`),
    HELO: () => say('250 mail.dap.test'),
    NOOP: () => say('250 OK'),
    RSET: () => ((state = fresh()), say('250 Reset OK')),
    QUIT: () => (say('221 mail.dap.test closing connection'), socket.end()),
    STARTTLS: () => {
      if (state.secure) return say('503 TLS is already on')
      say('220 TLS go ahead')
      plain.removeAllListeners('data')
      listen(new tls.TLSSocket(plain, { isServer: true, secureContext }), true)
    },
    AUTH: (rest) => {
      if (!state.secure) return say('503 AUTH command used when not advertised')
      const [kind, initial] = rest.split(' ')
      const plainly = (line) => login(...known(line).split('\0').slice(1))
      const asked = (next) => (line) => ((state.next = null), next(line))
      if (kind.toUpperCase() === 'PLAIN' && initial) return plainly(initial)
      if (kind.toUpperCase() === 'PLAIN') return (state.next = asked(plainly)), say('334 ')
      const second = (name) => ((state.next = asked((line) => login(known(name), known(line)))), say('334 UGFzc3dvcmQ6'))
      if (initial) return second(initial)
      state.next = asked(second)
      say('334 VXNlcm5hbWU6')
    },
    MAIL: () => {
      if (!state.user) return say('530 5.7.0 Authentication required')
      state = { ...fresh(), from: true }
      say('250 OK')
    },
    RCPT: (rest) => {
      const to = /^TO:\s*<([^<>\s]+)>/i.exec(rest)?.[1]
      if (!state.from || !to) return say('503 sender not yet given')
      if (to.startsWith('defer@')) return say('451 4.2.1 mailbox busy, try again later')
      if (to.startsWith('reject@')) return say('550 5.1.1 no such user')
      state.to.push(to)
      say('250 Accepted')
    },
    DATA: () => {
      if (state.to.length === 0) return say('503 valid RCPT command must precede DATA')
      state.data = []
      say('354 Enter message, ending with "." on a line by itself')
    },
  }
  function line(text) {
    if (state.data) {
      if (text !== '.') return void state.data.push(text.replace(/^\./, ''))
      deliver(state.to, `${state.data.join('\n')}\n`)
      state = fresh()
      return say('250 OK')
    }
    if (state.next) return state.next(text)
    const [verb, ...rest] = text.split(' ')
    const act = verbs[verb.toUpperCase()]
    return act ? act(rest.join(' ')) : say('500 unrecognized command')
  }
  function listen(on, secure) {
    socket = on
    state = { secure, user: null, to: [], from: null, data: null, next: null }
    let held = ''
    let taken = 0
    on.on('error', () => on.destroy())
    on.on('data', (bytes) => {
      taken += bytes.length
      if (taken > LIMIT) return on.destroy()
      held += bytes.toString('latin1')
      for (let at; (at = held.indexOf('\r\n')) >= 0 && socket === on; ) {
        const text = held.slice(0, at)
        held = held.slice(at + 2)
        line(Buffer.from(text, 'latin1').toString('utf8'))
      }
    })
  }
  listen(plain, false)
  say('220 mail.dap.test ESMTP')
}

for (const folder of ['tmp', 'new', 'cur']) fs.mkdirSync(path.join(mail, 'maildir', folder), { recursive: true })
net.createServer(session).listen(Number(port), '127.0.0.1')
