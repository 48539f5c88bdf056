import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { GantryError } from '#errors/index.ts';

/** OWASP's first choice for argon2id; kept with each hash, so that they can be raised without breaking old ones. */
const cost = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 };
const running = { now: 0, waiting: [] as (() => void)[] };
/** Each hash takes 19 MiB and a worker thread that file reads need too. */
const atOnce = 2;
const mostWaiting = 200;

/** Checks a new password. @throws GantryError invalid, saying the rule (never the password) */
export function checkPassword(password: string): void {
  const fail = (why: string) => {
    throw new GantryError('invalid', `the password ${why}`, { code: 'password-invalid' });
  };
  if ([...password].length < 8) fail('must have at least 8 characters');
  if (Buffer.byteLength(password) > 1024) fail('must have at most 1024 bytes');
}

/** Hashes with argon2id and a salt of its own, as `$argon2id$v=19$m=…,t=…,p=…$salt$tag`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const tag = await derive(password, salt, cost);
  const { memory: m, passes: t, parallelism: p } = cost;
  return `$argon2id$v=19$m=${m},t=${t},p=${p}$${encode(salt)}$${encode(tag)}`;
}

/** Whether a password fits a hash of `hashPassword`. @throws GantryError corrupt where the hash is none */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([\w+/]+)\$([\w+/]+)$/.exec(hash);
  if (match === null) throw new GantryError('corrupt', 'a stored password hash cannot be read');
  const [, m, t, p, salt = '', tag = ''] = match;
  const wanted = Buffer.from(tag, 'base64');
  const given = await derive(password, Buffer.from(salt, 'base64'), {
    memory: Number(m),
    passes: Number(t),
    parallelism: Number(p),
    tagLength: wanted.length,
  });
  return timingSafeEqual(given, wanted);
}

const encode = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');

async function derive(password: string, nonce: Buffer, parameters: typeof cost): Promise<Buffer> {
  if (running.now >= atOnce) {
    if (running.waiting.length >= mostWaiting)
      throw new GantryError('unavailable', 'too many people sign in at this moment; try again in a few seconds', {
        code: 'busy',
      });
    await new Promise<void>((resolve) => running.waiting.push(resolve));
  } else running.now++;
  try {
    return await new Promise((resolve, reject) => {
      argon2('argon2id', { message: Buffer.from(password.normalize('NFC')), nonce, ...parameters }, (error, tag) =>
        error === null ? resolve(tag) : reject(error),
      );
    });
  } finally {
    const next = running.waiting.shift();
    if (next === undefined) running.now--;
    else next();
  }
}
