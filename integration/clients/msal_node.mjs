// A stranger in the simulated tenant: @azure/msal-node. Prints one JSON object.
// Arguments: PEM file with the certificate and key, one that nobody registered.
import { X509Certificate, createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { load, minutes, nobody, organization, scope, tenant } from './tenant.mjs';

const { ConfidentialClientApplication, AuthError, ServerError, ClientAuthError } = load('@azure/msal-node');
const [pem, strangerPem] = process.argv.slice(2);

// A host that the library does not know has to be named, or it asks the public cloud about it.
const app = (id, client, credential) => new ConfidentialClientApplication({
  auth: { clientId: client, authority: tenant.login + '/' + id, knownAuthorities: [new URL(tenant.login).host], ...credential },
});
const secret = (id, client, value) => app(id, client, { clientSecret: value });

function certificate(file, old, chain) {
  const text = readFileSync(file, 'utf8');
  const raw = new X509Certificate(text).raw;
  const hash = name => createHash(name).update(raw).digest('hex');
  const key = /-----BEGIN (\w+ )*PRIVATE KEY-----[\s\S]+?-----END (\w+ )*PRIVATE KEY-----/.exec(text)[0];
  const clientCertificate = { privateKey: key };
  if (old) clientCertificate.thumbprint = hash('sha1'); else clientCertificate.thumbprintSha256 = hash('sha256');
  if (chain) clientCertificate.x5c = text;
  return app(tenant.id, tenant.client, { clientCertificate });
}

async function good(client) {
  const first = await client.acquireTokenByClientCredential({ scopes: [scope] });
  const second = await client.acquireTokenByClientCredential({ scopes: [scope] });
  return { minutes: minutes(first.expiresOn), type: first.tokenType, cached: !first.fromCache && second.fromCache, ...await organization(first.accessToken) };
}

async function refused(client) {
  try {
    await client.acquireTokenByClientCredential({ scopes: [scope] });
  } catch (error) {
    return {
      class: error.name, own: error instanceof AuthError, server: error instanceof ServerError, client: error instanceof ClientAuthError,
      error: error.errorCode, message: error.errorMessage ?? error.message, number: error.errorNo, status: error.status, correlation: error.correlationId,
    };
  }
  return { class: 'none' };
}

console.log(JSON.stringify({
  good: {
    secret: await good(secret(tenant.id, tenant.client, tenant.secret)),
    domain: await good(secret(tenant.domain, tenant.client, tenant.secret)),
    certificate: await good(certificate(pem)),
    chain: await good(certificate(pem, false, true)),
    oldThumbprint: await good(certificate(pem, true)),
  },
  refused: {
    secret: await refused(secret(tenant.id, tenant.client, 'x' + tenant.secret)),
    tenant: await refused(secret(nobody, tenant.client, tenant.secret)),
    application: await refused(secret(tenant.id, nobody, tenant.secret)),
    certificate: await refused(certificate(strangerPem)),
  },
}));
