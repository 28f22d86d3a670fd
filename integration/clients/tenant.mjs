// What the JavaScript clients share: the packages, the simulated tenant's
// values and a plain request to Graph with a token that a client was given.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import https from 'node:https';

// The packages are in a folder of their own, not beside this file.
export const load = createRequire(process.env.C2CONN_NPM + '/');

const env = process.env;
export const tenant = {
  id: env.SIM_TENANT_ID, domain: env.SIM_TENANT_DOMAIN, client: env.SIM_CLIENT_ID,
  login: env.SIM_LOGIN_URL, graph: env.SIM_GRAPH_URL,
  secret: readFileSync(env.SIM_CLIENT_SECRET_FILE, 'utf8').trim(),
};
export const nobody = '11111111-2222-4333-8444-555555555555';
export const scope = 'https://graph.microsoft.com/.default';

// organization is what Graph says about the tenant to the bearer of the token.
export function organization(token) {
  return new Promise((resolve, reject) => {
    https.get(tenant.graph + '/v1.0/organization', { headers: { authorization: 'Bearer ' + token } }, answer => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', part => { text += part; });
      answer.on('end', () => {
        const body = JSON.parse(text);
        resolve({ status: answer.statusCode, tenant: body.value?.[0]?.id, name: body.value?.[0]?.displayName, error: body.error?.code });
      });
    }).on('error', reject);
  });
}

// minutes from now until a time, rounded.
export const minutes = time => Math.round((time - Date.now()) / 60000);
