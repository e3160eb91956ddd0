-- Asks an auth endpoint of dsmapper about every request: `LuaHookAccessChecker .../dsmapper.lua check early` with `LuaScope thread`. What is wrong in
-- here ends in 500: a request goes on with the identity headers of the answer, and with none of the client's, or not at all.

local socket = require('socket')

-- `unix:PATH`, or `address:port` of a loopback listener.
local endpoint = os.getenv('DSMAPPER_ENDPOINT') or 'unix:/run/dsmapper/apache.sock'
local secret = nil
if os.getenv('DSMAPPER_SECRET_FILE') then
  local file = assert(io.open(os.getenv('DSMAPPER_SECRET_FILE')))
  secret = file:read('l')
  file:close()
end

-- Seconds until the endpoint takes the connection, and between two pieces of its answer.
local patience = { connect = 2, answer = 15 }
-- More than the gateway ever presents of a chain.
local maximumChain = 32
local maximumBody = 1024 * 1024
local maximumHeaders = 256

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

-- Of this thread; nil: none.
local kept = nil

local function connect()
  local path = endpoint:match('^unix:(.+)$')
  local connection
  if path then
    connection = assert(require('socket.unix')())
  else
    connection = assert(socket.tcp())
  end
  connection:settimeout(patience.connect)
  local host, port = endpoint:match('^%[?([^%]]+)%]?:(%d+)$')
  local done
  if path then
    done = connection:connect(path)
  else
    done = connection:connect(host, tonumber(port))
  end
  if not done then
    connection:close()
    return nil
  end
  connection:settimeout(patience.answer)
  return connection
end

-- Status, headers by their lower-case names (false: there are two), body, whether the connection stays; nil where it is no answer. The second value
-- tells whether anything has come.
local function receive(connection)
  local line = connection:receive('*l')
  if line == nil then
    return nil, false
  end
  local status = tonumber(line:match('^HTTP/1%.1 (%d%d%d)'))
  if status == nil then
    return nil, true
  end
  local headers = {}
  for count = 1, maximumHeaders + 1 do
    line = connection:receive('*l')
    if line == '' then
      break
    end
    local name, value = (line or ''):match('^([^%s:]+):[ \t]*(.-)[ \t]*$')
    if name == nil or count > maximumHeaders then
      return nil, true
    end
    name = name:lower()
    headers[name] = headers[name] == nil and value
  end
  local length = tonumber(headers['content-length'])
  if length == nil or length > maximumBody or headers['transfer-encoding'] ~= nil then
    return nil, true
  end
  local body = ''
  if length > 0 then
    body = connection:receive(length)
  end
  if body == nil then
    return nil, true
  end
  local stays = headers['connection'] == nil or headers['connection']:lower() == 'keep-alive'
  return { status = status, headers = headers, body = body, stays = stays }, true
end

-- A kept connection may have been ended by the endpoint meanwhile: then once more, over a new one.
local function exchange(question)
  for _ = 1, 2 do
    local used = kept
    local connection = used or connect()
    kept = nil
    if connection == nil then
      return nil
    end
    local answer, begun = nil, false
    if connection:send(question) then
      answer, begun = receive(connection)
    end
    if answer and answer.stays then
      kept = connection
    else
      connection:close()
    end
    if answer or begun or used == nil then
      return answer
    end
  end
  return nil
end

local function certificates(r)
  local leaf = r:ssl_var_lookup('SSL_CLIENT_CERT')
  if leaf == nil or leaf == '' then
    return ''
  end
  local found = { leaf }
  for index = 0, maximumChain do
    local above = r:ssl_var_lookup('SSL_CLIENT_CERT_CHAIN_' .. index)
    if above == nil or above == '' then
      break
    end
    -- In the chain of a server's peer OpenSSL leaves the leaf out; not so everywhere.
    if above ~= leaf then
      found[#found + 1] = above
    end
  end
  local text = table.concat(found, ' '):gsub('%s+', ' '):gsub(' $', '')
  return text
end

-- Nothing of the client's request is in the question but what is said here.
local function questionFor(r, host)
  local lines = {
    'GET / HTTP/1.1',
    'Host: dsmapper',
    'X-Original-Host: ' .. host,
    'X-Original-URI: ' .. r.unparsed_uri,
    'X-Original-Method: ' .. r.method,
    'X-SSL-Client-Cert: ' .. certificates(r),
  }
  local accept = r.headers_in['Accept']
  if accept then
    lines[#lines + 1] = 'Accept: ' .. accept
  end
  if secret then
    lines[#lines + 1] = 'X-DSMapper-Secret: ' .. secret
  end
  for _, line in ipairs(lines) do
    if line:find('[\r\n%z]') then
      return nil
    end
  end
  return table.concat(lines, '\r\n') .. '\r\n\r\n'
end

-- What a client lists in Connection is taken away by mod_proxy (RFC 9110 section 7.6.1): an identity header may not be.
local function limitConnection(r)
  local options = {}
  for option in (r.headers_in['Connection'] or ''):lower():gmatch('[^, \t]+') do
    if option == 'close' or option == 'keep-alive' or option == 'upgrade' then
      options[#options + 1] = option
    end
  end
  r.headers_in['Connection'] = #options > 0 and table.concat(options, ', ') or nil
end

local function removeForged(r, clear)
  for name in pairs(r:headers_in_table()) do
    if guarded[fold(name)] or clear[fold(name)] then
      r.headers_in[name] = nil
    end
  end
end

local function refuse(r, status, answer)
  r.err_headers_out['Cache-Control'] = 'no-store'
  for _, name in ipairs({ 'Retry-After', 'X-Request-Id' }) do
    local value = answer and answer.headers[name:lower()]
    if value then
      r.err_headers_out[name] = value
    end
  end
  return status
end

function check(r)
  local host = r.headers_in['Host']
  local question = host and questionFor(r, host)
  if not question then
    return refuse(r, 400, nil)
  end
  local answer = exchange(question)
  if answer == nil then
    return refuse(r, 503, nil)
  end
  if answer.status >= 400 and answer.status <= 599 then
    return refuse(r, answer.status, answer)
  end
  -- Who answers 200 without a verdict is not the gateway.
  if answer.status ~= 200 or answer.headers['x-dsmapper-status'] ~= '200' then
    return refuse(r, 503, nil)
  end
  limitConnection(r)
  -- Names that the gateway knows of and this file may not.
  local clear = {}
  for name in (answer.headers['x-dsmapper-clear'] or ''):gmatch('[^, ]+') do
    clear[fold(name)] = true
  end
  removeForged(r, clear)
  for name, value in pairs(answer.headers) do
    local written = own[fold(name)]
    if written then
      assert(value, 'the answer has a header twice')
      r.headers_in[written] = value
    end
  end
  return apache2.OK
end
