// What the strangers at the simulated SharePoint farm share: their packages, the farm's
// addresses, who signs in, and how what they hear is told.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const env = process.env;
export const load = createRequire(env.C2CONN_SHAREPOINT_NPM + '/');

// Modules, some of which only import can load.
export const open = name => import(pathToFileURL(load.resolve(name)));

export const site = env.SIM_SHAREPOINT_URL;
export const central = env.SIM_CENTRAL_ADMIN_URL;
const secret = who => readFileSync(env[`SIM_${who}_PASSWORD_FILE`], 'utf8');

// By UPN and by the domain's old name, with less rights, with a wrong password.
export const accounts = {
  admin: { username: env.SIM_SHAREPOINT_UPN, password: secret('SHAREPOINT') },
  domain: { username: 'spadmin', password: secret('SHAREPOINT'), domain: 'CORP' },
  reader: { username: env.SIM_READER_UPN, password: secret('READER') },
  wrong: { username: 'spadmin', password: 'wrong', domain: 'CORP' },
};

// attempt tells what came of something: its own answer, or the status and the text of
// the refusal.
export async function attempt(something) {
  try {
    return { class: 'none', ...await something() };
  } catch (error) {
    const body = error.response?.body ?? error.response?.data;
    return {
      class: error.constructor.name, status: error.statusCode ?? error.status ?? error.response?.statusCode ?? error.response?.status,
      message: [error.message, typeof body === 'string' ? body : JSON.stringify(body)].join(' ').slice(0, 2000),
    };
  }
}
