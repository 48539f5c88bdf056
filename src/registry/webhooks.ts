import { createHmac, randomBytes } from 'node:crypto';
import { GantryError, messageOf } from '#errors/index.ts';
import type { Account } from './accounts.ts';
import type { Database } from './database.ts';

/** What a push was, as it is told. */
export interface PushEvent {
  readonly event: 'push';
  readonly repository: string;
  /** The tag, or the digest where it was pushed without one. */
  readonly reference: string;
  readonly digest: string;
  readonly actor: string;
  /** ISO 8601. */
  readonly time: string;
}

export interface Webhook {
  readonly id: number;
  readonly account: string;
  readonly url: string;
  /** When it was last told, and what it answered: a status, or why there was none. */
  readonly told: number | undefined;
  readonly answer: string | undefined;
}

/**
 * URLs that are told of pushes into a namespace, by whoever runs the hub: a POST of JSON with the header
 * `X-Gantry-Signature: sha256=<HMAC of the body>`. Tried three times; a push never waits for it.
 */
export interface Webhooks {
  /** The secret of its signatures is told this once. @throws GantryError invalid */
  add(account: Account, url: string): Promise<{ id: number; secret: string }>;
  list(): Promise<readonly Webhook[]>;
  /** @throws GantryError not-found */
  remove(id: number): Promise<void>;
  tell(owner: number, event: PushEvent): Promise<void>;
  /** Waits for those underway, each at most a few seconds. */
  settle(): Promise<void>;
}

const mostUnderway = 100;
const patience = 5000;

export function createWebhooks({ db }: { readonly db: Database }): Webhooks {
  const insert = db.prepare('INSERT INTO webhooks (account, url, secret) VALUES (?, ?, ?) RETURNING id');
  const all = db.prepare('SELECT w.*, a.name FROM webhooks w JOIN accounts a ON a.id = w.account ORDER BY w.id');
  const ofAccount = db.prepare('SELECT * FROM webhooks WHERE account = ?');
  const drop = db.prepare('DELETE FROM webhooks WHERE id = ?');
  const note = db.prepare('UPDATE webhooks SET told = ?, answer = ? WHERE id = ?');
  const underway = new Set<Promise<void>>();

  const send = async (id: number, url: string, secret: string, event: PushEvent): Promise<void> => {
    const body = JSON.stringify(event);
    const signature = createHmac('sha256', secret).update(body).digest('hex');
    const headers = { 'content-type': 'application/json', 'x-gantry-signature': `sha256=${signature}` };
    let answer = '';
    for (let attempt = 0; attempt < 3; attempt++) {
      if (attempt > 0) await new Promise((done) => setTimeout(done, 500 * attempt));
      try {
        const signal = AbortSignal.timeout(patience);
        const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'error' });
        await response.body?.cancel();
        answer = String(response.status);
        if (response.status < 500) break;
      } catch (error) {
        answer = messageOf(error).slice(0, 200);
      }
    }
    await note.run(Date.now(), answer, id);
  };

  return {
    async add(account, url) {
      if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
        throw new GantryError('invalid', `"${url.slice(0, 200)}" is not an http or https URL`);
      const secret = randomBytes(24).toString('base64url');
      const row = await insert.get(account.id, url, secret);
      return { id: Number(row?.id), secret };
    },
    list: async () =>
      (await all.all()).map((row) => ({
        id: Number(row.id),
        account: String(row.name),
        url: String(row.url),
        told: row.told === null ? undefined : Number(row.told),
        answer: row.answer === null ? undefined : String(row.answer),
      })),
    async remove(id) {
      if ((await drop.run(id)) === 0) throw new GantryError('not-found', `there is no webhook ${id}`);
    },
    async tell(owner, event) {
      for (const { id, url, secret } of await ofAccount.all(owner)) {
        if (underway.size >= mostUnderway) {
          await note.run(Date.now(), 'not told: too many were underway', Number(id));
          continue;
        }
        const sending = send(Number(id), String(url), String(secret), event);
        underway.add(sending);
        const over = () => underway.delete(sending);
        sending.then(over, over); // what cannot be noted of it is not known; it was told
      }
    },
    settle: async () => void (await Promise.allSettled(underway)),
  };
}
