/**
 * An application without Express, to try the middleware: `node server.mjs`. With Express it is `app.use(requireAssertion({ ... }))`.
 */
import { createServer } from 'node:http';
import { requireAssertion } from './assertion.mjs';

const { ASSERTION_JWKS, ASSERTION_ISSUER, ASSERTION_AUDIENCE, PORT = '8080' } = process.env;
const guard = requireAssertion({ jwks: ASSERTION_JWKS, issuer: ASSERTION_ISSUER, audience: ASSERTION_AUDIENCE });

const server = createServer((request, response) => {
  void guard(request, response, () => {
    const { sub, name } = request.client;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ sub, name }));
  });
});
server.listen(Number(PORT), '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
