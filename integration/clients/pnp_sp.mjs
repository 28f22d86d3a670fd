// A stranger in the simulated tenant: @pnp/sp. Prints one JSON object.
// Argument: PEM file with the certificate and key.
import { admin, certificate, open, secret, site, token } from './sharepoint.mjs';
import { tenant } from './tenant.mjs';

const { spfi, DefaultInit, DefaultHeaders } = await open('@pnp/sp');
const { BrowserFetch, DefaultParse, HttpRequestError, InjectHeaders } = await open('@pnp/queryable');
await open('@pnp/sp/webs/index.js');
await open('@pnp/sp/sites/index.js');
await open('@pnp/sp/context-info/index.js');
await open('@pnp/sp/search/index.js');

// sp is a site for the bearer of a token; without retries, so that a refusal is seen at once.
const sp = (url, bearer) => spfi(url).using(DefaultInit(), DefaultHeaders(), BrowserFetch(), DefaultParse(), InjectHeaders({ Authorization: 'Bearer ' + bearer }));

const title = async (url, bearer) => {
  try {
    const web = await sp(url, bearer).web.select('Title', 'Url')();
    return { class: 'none', message: web.Title + ' ' + web.Url };
  } catch (error) {
    return { class: error.constructor.name, own: error.isHttpRequestError === true && error instanceof HttpRequestError, status: error.status, message: error.message };
  }
};

const credential = certificate(process.argv[2]);
const [forSite, forAdmin, forGraph, bySecret] = await Promise.all([
  token(credential, site), token(credential, admin), token(credential, tenant.graph), token(await secret(), site)]);

// All pages of the search, as its paging by start row allows.
async function search(bearer) {
  const found = await sp(site, bearer).search({ Querytext: 'contentclass:STS_Site', RowLimit: 500, TrimDuplicates: false, SelectProperties: ['Title', 'Path'] });
  const paths = new Set();
  let pages = 0;
  for (let page = found; page !== null && page.PrimarySearchResults.length > 0; page = await found.getPage(pages + 1)) {
    pages++;
    for (const row of page.PrimarySearchResults) paths.add(row.Path);
  }
  return { total: found.TotalRows, pages, different: paths.size };
}

const context = await sp(site, forSite).site.getContextInfo();
console.log(JSON.stringify({
  web: await title(site, forSite),
  adminWeb: await title(admin, forAdmin),
  context: { digest: context.FormDigestValue, seconds: context.FormDigestTimeoutSeconds, web: context.WebFullUrl, library: context.LibraryVersion },
  search: await search(forSite),
  refused: {
    secret: await title(site, bySecret),
    otherHost: await title(site, forAdmin),
    otherHostBack: await title(admin, forSite),
    graph: await title(site, forGraph),
    nonsense: await title(site, 'nonsense'),
  },
}));
