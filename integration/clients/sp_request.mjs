// A stranger at the simulated SharePoint farm: sp-request, which signs in with
// node-sp-auth. Prints one JSON object. It speaks odata=verbose alone, and its NTLM wants
// an OpenSSL with the old algorithms.
import { accounts, attempt, central, load, site } from './farm.mjs';

const { create } = load('sp-request');
const as = account => create({ ...account, rejectUnauthorized: true });

const web = (get, url) => attempt(async () => {
  const { body } = await get(url + '/_api/web?$select=Title,Url,WebTemplate');
  const user = await get(url + '/_api/web/currentuser');
  return { title: body.d.Title, url: body.d.Url, template: body.d.WebTemplate, login: user.body.d.LoginName, admin: user.body.d.IsSiteAdmin };
});

// All pages of the search.
async function search(get) {
  const urls = [];
  let total;
  do {
    const { body } = await get(`${site}/_api/search/query?querytext='contentclass:STS_Site'&rowlimit=500&startrow=${urls.length}&trimduplicates=false&selectproperties='Path'`);
    const found = body.d.query.PrimaryQueryResult.RelevantResults;
    total = found.TotalRows;
    if (found.RowCount === 0) break;
    for (const row of found.Table.Rows.results) urls.push(row.Cells.results.find(c => c.Key === 'Path').Value);
  } while (urls.length < total);
  return urls;
}

const out = { webs: {}, central: {}, digest: await as(accounts.admin).requestDigest(site) };
for (const [name, account] of Object.entries(accounts)) {
  out.webs[name] = await web(as(account), site);
  out.central[name] = await web(as(account), central);
}
out.search = { admin: await search(as(accounts.domain)), reader: await search(as(accounts.reader)) };
console.log(JSON.stringify(out));
