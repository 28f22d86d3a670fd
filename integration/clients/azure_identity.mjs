// A stranger in the simulated tenant: @azure/identity. Prints one JSON object.
// Arguments: PEM file with the certificate and key, one that nobody registered.
import { load, minutes, nobody, organization, scope, tenant } from './tenant.mjs';

const { ClientSecretCredential, ClientCertificateCredential, AuthenticationError, AuthenticationRequiredError, CredentialUnavailableError } = load('@azure/identity');
const [pem, strangerPem] = process.argv.slice(2);
const options = { authorityHost: tenant.login, disableInstanceDiscovery: true, retryOptions: { maxRetries: 0 } };

const secret = (id, client, value) => new ClientSecretCredential(id, client, value, options);
const certificate = (file, more) => new ClientCertificateCredential(tenant.id, tenant.client, { certificatePath: file }, { ...options, ...more });

async function good(credential) {
  const token = await credential.getToken(scope);
  return { minutes: minutes(token.expiresOnTimestamp), type: token.tokenType, ...await organization(token.token) };
}

async function refused(credential) {
  try {
    await credential.getToken(scope);
  } catch (error) {
    const own = [AuthenticationError, AuthenticationRequiredError, CredentialUnavailableError].some(c => error instanceof c);
    return { class: error.name, own, message: error.message };
  }
  return { class: 'none' };
}

console.log(JSON.stringify({
  good: {
    secret: await good(secret(tenant.id, tenant.client, tenant.secret)),
    domain: await good(secret(tenant.domain, tenant.client, tenant.secret)),
    certificate: await good(certificate(pem)),
    chain: await good(certificate(pem, { sendCertificateChain: true })),
  },
  refused: {
    secret: await refused(secret(tenant.id, tenant.client, 'x' + tenant.secret)),
    tenant: await refused(secret(nobody, tenant.client, tenant.secret)),
    application: await refused(secret(tenant.id, nobody, tenant.secret)),
    certificate: await refused(certificate(strangerPem)),
  },
}));
