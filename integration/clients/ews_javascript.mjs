// A stranger at the simulated Exchange Server: ews-javascript-api. Prints one JSON
// object: inboxes opened by NTLM and Basic, the own one and others', and how a
// mailbox that is not there and a wrong password are told.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const env = process.env;
const load = createRequire(env.C2CONN_NPM + '/');
const { ConfigurationApi, ConnectingIdType, ExchangeService, ExchangeVersion, Folder, FolderId, ImpersonatedUserId, Mailbox, PropertySet, BasePropertySet,
  ServiceError, SoapFaultDetails, Uri, WebCredentials, WellKnownFolderName } = load('ews-javascript-api');
const { XhrApi } = load('@ewsjs/xhr');
const secret = who => readFileSync(env[`SIM_${who}_PASSWORD_FILE`], 'utf8');

async function inbox({ user = env.SIM_ADMIN_UPN, password = secret('ADMIN'), ntlm = true, as, of }) {
  const service = new ExchangeService(ExchangeVersion.Exchange2013_SP1);
  service.Url = new Uri(env.SIM_EWS_URL);
  service.Credentials = new WebCredentials(user, password);
  const xhr = new XhrApi();
  ConfigurationApi.ConfigureXHR(ntlm ? xhr.useNtlmAuthentication(user, password) : xhr);
  if (as) {
    service.ImpersonatedUserId = new ImpersonatedUserId(ConnectingIdType.SmtpAddress, as);
    service.HttpHeaders.Add('X-AnchorMailbox', as);
  }
  try {
    const id = of ? new FolderId(WellKnownFolderName.Inbox, new Mailbox(of)) : WellKnownFolderName.Inbox;
    const folder = await Folder.Bind(service, id, new PropertySet(BasePropertySet.FirstClassProperties));
    const info = service.ServerInfo;
    return { class: 'none', inbox: folder.DisplayName, folder_class: folder.FolderClass, total: folder.TotalCount, unread: folder.UnreadCount,
      id: Boolean(folder.Id.UniqueId), build: [info.MajorVersion, info.MinorVersion, info.MajorBuildNumber].join('.') };
  } catch (error) {
    const own = error instanceof SoapFaultDetails;
    return { class: own ? ServiceError[error.ResponseCode] : error.name, own, message: String(error.message), status: error.HttpStatusCode };
  }
}

const alice = env.SIM_MESSAGING_UPN;
const cases = {
  upn: {}, domain: { user: 'CORP\\exadmin' }, suffix: { user: alice, password: secret('MESSAGING') }, basic: { ntlm: false },
  other: { as: alice }, nobody: { as: 'nobody@contoso.example' }, wrong: { password: 'wrong' },
};
const out = {};
for (const [name, options] of Object.entries(cases)) {
  out[name] = await inbox(options);
}
console.log(JSON.stringify(out));
