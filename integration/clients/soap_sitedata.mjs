// A stranger at the simulated SharePoint farm: soap, which reads the WSDL of SiteData and
// makes its calls from that. Prints one JSON object.
import { accounts, attempt, central, load, site } from './farm.mjs';

const { createClientAsync, NTLMSecurity } = load('soap');
const { DOMParser } = load('@xmldom/xmldom');

async function service(account, url, soap12) {
  const security = new NTLMSecurity({ domain: '', workstation: '', ...account });
  const client = await createClientAsync(url + '/_vti_bin/SiteData.asmx?WSDL', { wsdl_options: security.defaults, forceSoap12Headers: soap12 });
  client.setSecurity(security);
  return client;
}

// What GetContent tells of an object: XML within text.
async function content(client, objectType, objectId) {
  const [answer] = await client.GetContentAsync({ objectType, objectId, retrieveChildItems: true, securityOnly: false });
  return new DOMParser().parseFromString(answer.GetContentResult, 'text/xml');
}

const attributes = (document, element, name) => Array.from(document.getElementsByTagName(element), e => e.getAttribute(name));

// All site collections of the web application, by its content databases.
const collections = (account, url = site, soap12 = false) => attempt(async () => {
  const client = await service(account, url, soap12);
  const whole = await content(client, 'VirtualServer');
  const databases = attributes(whole, 'ContentDatabase', 'ID');
  const urls = [];
  for (const id of databases) urls.push(...attributes(await content(client, 'ContentDatabase', id), 'Site', 'URL'));
  return { version: whole.getElementsByTagName('Metadata')[0].getAttribute('Version'), databases: databases.length, urls };
});

console.log(JSON.stringify({
  soap11: await collections(accounts.admin),
  soap12: await collections(accounts.domain, site, true),
  central: await collections(accounts.admin, central),
  reader: await collections(accounts.reader),
  wrong: await collections(accounts.wrong),
}));
