// What the clients of SharePoint share: their packages, the sites' addresses, and
// tokens from @azure/identity for whatever a client talks to.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { load, tenant } from './tenant.mjs';

const { ClientCertificateCredential, ClientSecretCredential } = load('@azure/identity');
const { resolve } = createRequire(process.env.C2CONN_SHAREPOINT_NPM + '/');

// Modules, some of which only import can load.
export const open = name => import(pathToFileURL(resolve(name)));

export const site = process.env.SIM_SHAREPOINT_URL;
export const admin = site.replace('.', '-admin.');

export const { Client, GraphError, PageIterator } = (await open('@microsoft/microsoft-graph-client')).default;

// graph is Microsoft Graph for the bearer of the tokens that bearer() gives.
export const graph = bearer => Client.init({
  baseUrl: tenant.graph, defaultVersion: 'v1.0',
  authProvider: done => { bearer().then(token => done(null, token), error => done(error, null)); },
});

const client = process.env.SIM_SHAREPOINT_CLIENT_ID;
const options = { authorityHost: tenant.login, disableInstanceDiscovery: true, retryOptions: { maxRetries: 0 } };
export const certificate = pem => new ClientCertificateCredential(tenant.id, client, { certificatePath: pem }, options);

// secret is a new one, which an administrator gives the application.
export async function secret() {
  const administrator = graph(async () => readFileSync(process.env.SIM_ADMIN_TOKEN_FILE, 'utf8').trim());
  const { secretText } = await administrator.api(`/applications(appId='${client}')/addPassword`).post({ passwordCredential: { displayName: 'stranger' } });
  return new ClientSecretCredential(tenant.id, client, secretText, options);
}

// token is a credential's for one resource, such as the address of a site.
export const token = async (credential, resource) => (await credential.getToken(resource + '/.default')).token;
