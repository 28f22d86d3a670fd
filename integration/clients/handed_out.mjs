// A stranger under `c2conn exec`: @azure/identity's EnvironmentCredential, which knows
// nothing but its environment. Prints one JSON object.
import { readFileSync } from 'node:fs';
import { load, minutes, organization, scope } from './tenant.mjs';

const { EnvironmentCredential } = load('@azure/identity');
const token = await new EnvironmentCredential({ disableInstanceDiscovery: true, retryOptions: { maxRetries: 0 } }).getToken(scope);
// How Entra ID was convinced: 1 is a client secret, 2 a certificate.
const claims = JSON.parse(Buffer.from(token.token.split('.')[1], 'base64url').toString());
const file = process.env.AZURE_CLIENT_CERTIFICATE_PATH;
console.log(JSON.stringify({
  environment: { minutes: minutes(token.expiresOnTimestamp), type: token.tokenType, ...await organization(token.token) },
  how: claims.appidacr, file: file ?? '', key: file ? readFileSync(file, 'utf8').includes('PRIVATE KEY') : false,
}));
