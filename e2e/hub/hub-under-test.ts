import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gantryProgram, type Outcome, run, startService, stopProcess } from '../harness/program.ts';

/** One person's way to the hub: paths in, responses out. */
export type Ask = (method: string, path: string, init?: RequestInit) => Promise<Response>;

/** One person's way to the pages' API, by its session. */
export type PageAsk = (method: string, path: string, body?: unknown) => Promise<Response>;

/** A hub on a data root of the test's own, that can be ended and started again. */
export interface HubUnderTest extends AsyncDisposable {
  readonly root: string;
  readonly url: string;
  /** The hub's process. */
  readonly pid: number;
  user(...args: readonly string[]): Promise<Outcome>;
  /** `gantry hub <args> --data-root …`; what it printed, trimmed. A failure fails the test. */
  admin(...args: readonly string[]): Promise<string>;
  /** The pages' API without a session. */
  visitor(): PageAsk;
  /** Signs in on the page, and asks the pages' API with the session. */
  page(name: string): Promise<PageAsk>;
  /** Without a name: anonymous. */
  basic(name?: string, password?: string): Ask;
  /** Answers each 401 as clients do: fetches a token for the scope that the challenge names, once. */
  bearer(name?: string, password?: string): Ask;
  restart(signal?: NodeJS.Signals): Promise<void>;
}

export const passwords: Readonly<Record<string, string>> = { ana: 'correct horse battery', ben: 'staple staple' };

/** Where a hub keeps everything, when it is not a directory of its own. */
export interface HubStorage {
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Whether the accounts are there already, made by another hub. */
  readonly used?: boolean;
}

/** Starts a hub with the accounts ana and ben. */
export async function hubUnderTest(more: readonly string[] = [], storage?: HubStorage): Promise<HubUnderTest> {
  const root = mkdtempSync(join(tmpdir(), 'gantry-hub-'));
  const { flags, env, used = false } = storage ?? { flags: ['--data-root', root], env: {} };
  const start = () => startService(['hub', 'serve', '--listen', '127.0.0.1:0', ...flags, ...more], env);
  const urlOf = (line: string) => /https?:\/\/\S+/.exec(line)?.[0] ?? assert.fail(line);
  const input = (name: string | undefined) => `${passwords[name ?? ''] ?? 'a long password'}\n`;
  const user = (...args: readonly string[]) =>
    run(gantryProgram, ['hub', 'user', ...args, ...flags], { input: input(args[1]), env });
  for (const name of used ? [] : Object.keys(passwords))
    assert.equal((await user('add', name, '--password-stdin')).code, 0, `account ${name}`);
  let service = await start();

  const send = async (method: string, path: string, init: RequestInit, authorization: string | undefined) => {
    const headers = new Headers(init.headers);
    if (authorization !== undefined) headers.set('authorization', authorization);
    const response = await fetch(new URL(path, urlOf(service.line)), { ...init, method, headers, redirect: 'manual' });
    return await follow(response, headers);
  };
  const basicOf = (name: string | undefined, password: string | undefined) =>
    name === undefined
      ? undefined
      : `Basic ${Buffer.from(`${name}:${password ?? passwords[name]}`).toString('base64')}`;

  const pageAsk =
    (cookie: () => string): PageAsk =>
    (method, path, body) => {
      const headers = new Headers({ 'x-gantry': '1', cookie: cookie() });
      if (body === undefined) return fetch(`${urlOf(service.line)}/api/v1/${path}`, { method, headers });
      headers.set('content-type', 'application/json');
      return fetch(`${urlOf(service.line)}/api/v1/${path}`, { method, headers, body: JSON.stringify(body) });
    };

  return {
    root,
    async admin(...args) {
      const { code, stdout, stderr } = await run(gantryProgram, ['hub', ...args, ...flags], { env });
      assert.equal(code, 0, `hub ${args.join(' ')}: ${stderr}`);
      return stdout.trim();
    },
    visitor: () => pageAsk(() => ''),
    async page(name) {
      let cookie = '';
      const ask = pageAsk(() => cookie);
      const signedIn = await ask('POST', 'session', { name, password: passwords[name] ?? 'a long password' });
      assert.equal(signedIn.status, 200, `${name} signs in`);
      cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
      return ask;
    },
    get url() {
      return urlOf(service.line);
    },
    get pid() {
      return service.child.pid ?? assert.fail('the hub does not run');
    },
    user,
    basic:
      (name, password) =>
      (method, path, init = {}) =>
        send(method, path, init, basicOf(name, password)),
    bearer:
      (name, password) =>
      async (method, path, init = {}) => {
        const first = await send(method, path, init, undefined);
        const challenge = first.headers.get('www-authenticate');
        if (first.status !== 401 || challenge === null) return first;
        await first.body?.cancel();
        const part = (key: string) => new RegExp(`${key}="([^"]*)"`).exec(challenge)?.[1] ?? '';
        const query = new URLSearchParams({ service: part('service') });
        for (const scope of part('scope').split(' ')) if (scope !== '') query.append('scope', scope);
        const answer = await send('GET', `${part('realm')}?${query}`, {}, basicOf(name, password));
        assert.equal(answer.status, 200);
        const { token } = (await answer.json()) as { token: string };
        return await send(method, path, init, `Bearer ${token}`);
      },
    async restart(signal = 'SIGTERM') {
      await stopProcess(service.child, signal);
      service = await start();
    },
    async [Symbol.asyncDispose]() {
      await stopProcess(service.child);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** The distribution API's codes in an answer, after its status. */
export async function refusal(response: Response): Promise<string> {
  const text = await response.text();
  const codes =
    text === '' ? [] : (JSON.parse(text) as { errors?: { code: string }[] }).errors?.map(({ code }) => code);
  return [response.status, ...(codes ?? [])].join(' ');
}

/** To where a blob lies, as clients go: without what they log in with here. */
async function follow(response: Response, headers: Headers): Promise<Response> {
  const location = response.headers.get('location');
  if (response.status !== 307 || location === null) return response;
  const range = headers.get('range');
  const there = await fetch(location, { headers: range === null ? {} : { range } });
  const said = new Headers(there.headers);
  said.set('docker-content-digest', response.headers.get('docker-content-digest') ?? '');
  return new Response(there.body, { status: there.status, headers: said });
}
