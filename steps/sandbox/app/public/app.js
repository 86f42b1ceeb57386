const query = '{ version customers(limit: 1000) { id name } }'
fetch('/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query }) })
  .then((response) => response.json())
  .then(({ data, errors }) => {
    if (errors) throw new Error(errors[0].message)
    document.getElementById('root').textContent = `${data.customers.length} customers, version ${data.version}`
    document.title = 'DAP ready'
  })
  .catch((error) => console.error('page: ' + error.message))
