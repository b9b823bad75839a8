// A real OpenID provider on loopback. Prints {"issuer": ...} once it listens; ends with its stdin.
// Each native client is named after the algorithm its ID tokens are signed with. POST /rotate
// replaces the signing keys, as a provider does from time to time.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'];

function key(type, options, extra) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', ...extra };
}

function build(issuer) {
  const provider = new Provider(issuer, {
    clients: ALGORITHMS.map((algorithm) => ({
      client_id: `casemate-${algorithm}`,
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      redirect_uris: ['http://127.0.0.1/callback'],
      id_token_signed_response_alg: algorithm,
    })),
    enabledJWA: { idTokenSigningAlgValues: ALGORITHMS },
    pkce: { required: () => true },
    cookies: { keys: [randomUUID()] },
    jwks: {
      keys: [
        key('rsa', { modulusLength: 2048 }, {}),
        key('ec', { namedCurve: 'P-256' }, { alg: 'ES256' }),
        key('ed25519', {}, { alg: 'EdDSA' }),
      ],
    },
  });
  provider.on('server_error', (_context, error) => console.error(error));
  return provider.callback();
}

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  let handle = build(issuer);
  server.on('request', (request, response) => {
    if (request.method === 'POST' && request.url === '/rotate') {
      handle = build(issuer);
      response.writeHead(204).end();
      return;
    }
    handle(request, response);
  });
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
