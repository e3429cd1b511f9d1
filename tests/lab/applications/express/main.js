// SPDX-License-Identifier: GPL-3.0-or-later
// Answers with the address that Express takes for the client's: node main.js ADDRESS SETTINGS
const fs = require('fs')
const app = require('express')()

const [address, settings] = process.argv.slice(2)
new Function('app', fs.readFileSync(settings, 'utf8'))(app)
app.use((request, response) => response.type('text').send(request.ip))
app.listen(8000, address)
