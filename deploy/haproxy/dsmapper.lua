-- Asks an auth endpoint of dsmapper about every request: `http-request lua.dsmapper`. The variable txn.dsmapper is `pass` afterwards where the request may go
-- on, with the identity headers of the answer and none of the client's; else the request has ended with the status of the answer.

local endpoint = os.getenv('DSMAPPER_ENDPOINT')
-- Address in HAProxy's own notation, where it is not that of the URL: unix@/run/dsmapper/haproxy.sock.
local address = os.getenv('DSMAPPER_ADDRESS')
local secret = nil
if os.getenv('DSMAPPER_SECRET_FILE') then
  local file = assert(io.open(os.getenv('DSMAPPER_SECRET_FILE')))
  secret = file:read('l')
  file:close()
end
assert(endpoint, 'DSMAPPER_ENDPOINT is not set')

-- Milliseconds until an answer must be there.
local patience = 15000

-- Headers by which the gateway tells an identity; one that was renamed in its configuration (`identity.headers`) is renamed here too.
local identity = {
  'X-Remote-User',
  'X-Remote-Upn',
  'X-Remote-Sid',
  'X-Remote-Groups',
  'X-Remote-Group-Sids',
  'X-Client-Verify',
  'Client-Cert',
  'Client-Cert-Chain',
  'X-Forwarded-Client-Cert',
  'X-ARR-ClientCert',
  'X-Client-Cert',
  'MS-ASPNETCORE-CLIENTCERT',
  'MS-ASPNETCORE-TOKEN',
  'X-Forwarded-Tls-Client-Cert',
  'X-Forwarded-Tls-Client-Cert-Info',
  'X-SSL-Client-Cert',
  'X-SSL-Client-Verify',
  'X-SSL-Client-S-DN',
  'X-SSL-Client-I-DN',
  'X-SSL-Client-Serial',
  'X-SSL-Client-Fingerprint',
  'X-MS-CLIENT-PRINCIPAL',
  'X-MS-CLIENT-PRINCIPAL-ID',
  'X-MS-CLIENT-PRINCIPAL-NAME',
  'X-MS-CLIENT-PRINCIPAL-IDP',
  'X-DSMapper-Assertion',
  'X-IIS-CERT-COOKIE',
  'X-IIS-CERT-FLAGS',
  'X-IIS-CERT-ISSUER',
  'X-IIS-CERT-SERIALNUMBER',
  'X-IIS-CERT-SUBJECT',
  'X-IIS-AUTH-TYPE',
  'X-IIS-AUTH-USER',
  'X-IIS-LOGON-USER',
  'X-IIS-REMOTE-USER',
  'X-IIS-UNMAPPED-REMOTE-USER',
}

-- What only a question or an answer may say.
local control = {
  'X-DSMapper-Secret',
  'X-DSMapper-Status',
  'X-DSMapper-Verdict',
  'X-DSMapper-Code',
  'X-DSMapper-Clear',
  'X-DSMapper-Would-Refuse',
  'X-Original-URI',
  'X-Original-Host',
  'X-Original-Method',
  'X-SSL-Client-DER',
  'X-SSL-Client-Chain-DER',
}

-- Many backends turn all but letters and digits into an underscore: X_Remote_User and X.Remote!User are X-Remote-User to them.
local function fold(name)
  local folded = name:lower():gsub('[^a-z0-9]', '-'):gsub('%-+$', '')
  return folded
end

local own = {}
for _, name in ipairs(identity) do
  own[fold(name)] = name
end
local guarded = {}
for _, list in ipairs({ identity, control }) do
  for _, name in ipairs(list) do
    guarded[fold(name)] = true
  end
end

-- The one value of a header; nil where there is none, false where there are several.
local function only(values)
  if values == nil then
    return nil
  end
  if values[1] ~= nil then
    return false
  end
  return values[0]
end

local function refuse(txn, status, answer)
  local headers = { ['cache-control'] = { 'no-store' } }
  for _, name in ipairs({ 'content-type', 'retry-after', 'x-request-id' }) do
    headers[name] = answer and answer.headers[name] and { answer.headers[name][0] } or nil
  end
  local body = answer and answer.body or ''
  txn:done(txn:reply({ status = status, headers = headers, body = body }))
end

local function ask(txn, received)
  local question = {
    ['x-original-host'] = { only(received['host']) },
    ['x-original-uri'] = { txn.f:pathq() },
    ['x-original-method'] = { txn.f:method() },
  }
  local leaf = txn.f:ssl_c_der()
  local chain = txn.f:ssl_c_chain_der()
  if leaf and leaf ~= '' then
    question['x-ssl-client-der'] = { txn.c:base64(leaf) }
    if chain and chain ~= '' then
      question['x-ssl-client-chain-der'] = { txn.c:base64(chain) }
    end
  end
  local accept = only(received['accept'])
  if accept then
    question['accept'] = { accept }
  end
  if secret then
    question['x-dsmapper-secret'] = { secret }
  end
  return core.httpclient():get({ url = endpoint, dst = address, headers = question, timeout = patience })
end

local function forward(txn, received, answer)
  -- Names that the gateway knows of and this file may not.
  local clear = {}
  local list = only(answer.headers['x-dsmapper-clear'])
  for name in (list or ''):gmatch('[^, ]+') do
    clear[fold(name)] = true
  end
  for name in pairs(received) do
    if guarded[fold(name)] or clear[fold(name)] then
      txn.http:req_del_header(name)
    end
  end
  for name, values in pairs(answer.headers) do
    local written = own[fold(name)]
    if written then
      local value = only(values)
      assert(value, 'the answer has a header twice')
      txn.http:req_set_header(written, value)
    end
  end
end

-- What a client lists in Connection is taken away by the next proxy (RFC 9110 section 7.6.1): an identity header may not be.
local function limitConnection(txn, received)
  local upgrade = false
  for _, value in pairs(received['connection'] or {}) do
    for option in value:lower():gmatch('[^, \t]+') do
      upgrade = upgrade or option == 'upgrade'
    end
  end
  txn.http:req_del_header('connection')
  if upgrade then
    txn.http:req_set_header('connection', 'upgrade')
  end
end

core.register_action('dsmapper', { 'http-req' }, function(txn)
  txn:unset_var('txn.dsmapper')
  local received = txn.http:req_get_headers()
  if not only(received['host']) then
    return refuse(txn, 400, nil)
  end
  local answer = ask(txn, received)
  -- Without an answer the status is 0.
  if answer == nil or answer.status < 200 or answer.status > 599 then
    return refuse(txn, 503, nil)
  end
  if answer.status ~= 200 then
    return refuse(txn, answer.status < 400 and 503 or answer.status, answer)
  end
  -- Who answers 200 without a verdict is not the gateway.
  if only(answer.headers['x-dsmapper-status']) ~= '200' then
    return refuse(txn, 503, nil)
  end
  limitConnection(txn, received)
  forward(txn, received, answer)
  txn:set_var('txn.dsmapper', 'pass')
end, 0)
