// A stranger at the simulated SharePoint farm: @pnp/sp, whose requests axios-ntlm sends.
// Prints one JSON object.
import { accounts, attempt, central, load, open, site } from './farm.mjs';

const { spfi, DefaultInit, DefaultHeaders, RequestDigest } = await open('@pnp/sp');
const { DefaultParse } = await open('@pnp/queryable');
const { NtlmClient } = load('axios-ntlm');
await open('@pnp/sp/webs/index.js');
await open('@pnp/sp/sites/index.js');
await open('@pnp/sp/site-users/web.js');
await open('@pnp/sp/context-info/index.js');
await open('@pnp/sp/search/index.js');

// Requests go over connections that sign in by NTLM.
const Ntlm = account => instance => {
  const client = NtlmClient({ domain: '', ...account }, { responseType: 'text', transformResponse: [] });
  instance.on.send.replace(async (url, init) => {
    const request = { url: url.toString(), method: init.method, headers: Object.fromEntries(new Headers(init.headers)), data: init.body };
    const answer = await client(request).catch(error => error.response ?? Promise.reject(error));
    return new Response(answer.data, { status: answer.status, headers: { 'Content-Type': answer.headers['content-type'] ?? '' } });
  });
  return instance;
};

const sp = (url, account) => spfi(url).using(DefaultInit(), DefaultHeaders(), RequestDigest(), Ntlm(account), DefaultParse());

const web = (url, account) => attempt(async () => {
  const at = sp(url, account);
  const [{ Title, Url, WebTemplate }, collection, user] = [await at.web.select('Title', 'Url', 'WebTemplate')(), await at.site.select('Id', 'Url')(), await at.web.currentUser()];
  return { title: Title, url: Url, template: WebTemplate, id: collection.Id, login: user.LoginName, admin: user.IsSiteAdmin };
});

// All pages of the search.
async function search(account) {
  const query = { Querytext: 'contentclass:STS_Site', RowLimit: 500, TrimDuplicates: false, SelectProperties: ['Title', 'Path'] };
  const found = await sp(site, account).search(query);
  const urls = [];
  let pages = 0;
  for (let page = found; page !== null && page.PrimarySearchResults.length > 0; page = await found.getPage(pages + 1)) {
    pages++;
    for (const row of page.PrimarySearchResults) urls.push(row.Path);
  }
  return { total: found.TotalRows, pages, urls };
}

const context = await sp(site, accounts.admin).site.getContextInfo();
const out = { webs: {}, central: {}, digest: context.FormDigestValue, library: context.LibraryVersion };
for (const [name, account] of Object.entries(accounts)) {
  out.webs[name] = await web(site, account);
  out.central[name] = await web(central, account);
}
out.search = await search(accounts.admin); // of nobody else: it keeps form digests by site alone
console.log(JSON.stringify(out));
