// A stranger in the simulated tenant: @microsoft/microsoft-graph-client, with a
// certificate and with a secret. Prints one JSON object.
// Argument: PEM file with the certificate and key.
import { GraphError, PageIterator, certificate, graph, secret, site, token } from './sharepoint.mjs';
import { tenant } from './tenant.mjs';

// sites enumerates every site of the tenant.
async function sites(credential) {
  let requests = 0;
  const client = graph(() => { requests++; return token(credential, tenant.graph); });
  const ids = new Set(), addresses = new Set();
  let personal = 0;
  const first = await client.api('/sites/getAllSites').get();
  await new PageIterator(client, first, item => {
    ids.add(item.id);
    addresses.add(item.webUrl);
    if (item.isPersonalSite) personal++;
    return true;
  }).iterate();
  const pages = requests;
  const root = await client.api('/sites/root').select('webUrl,siteCollection').get();
  return { ids: ids.size, addresses: addresses.size, pages, personal, root: root.webUrl };
}

async function refused(credential, resource) {
  try {
    await graph(() => token(credential, resource)).api('/sites/getAllSites').get();
  } catch (error) {
    return { class: error.constructor.name, own: error instanceof GraphError, status: error.statusCode, error: error.code, message: error.message };
  }
  return { class: 'none' };
}

const known = certificate(process.argv[2]);
console.log(JSON.stringify({
  sites: { certificate: await sites(known), secret: await sites(await secret()) },
  refused: { sharePoint: await refused(known, site) },
}));
