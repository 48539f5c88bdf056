import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { GantryError, messageOf } from '#errors/index.ts';

/** An agent that holds key files for one build. */
export interface KeyAgent extends AsyncDisposable {
  readonly socket: string;
}

/**
 * Starts OpenSSH's agent with key files (ssh-agent(1), ssh-add(1), which asks for a passphrase where a key has one). The keys
 * stay in its memory; the engine sees what they sign, never the keys. @throws GantryError not-found, invalid
 */
export async function startKeyAgent(files: readonly string[]): Promise<KeyAgent> {
  const directory = mkdtempSync(`${tmpdir()}/gantry-keys-`);
  const socket = `${directory}/agent`;
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
  const gone = new Promise<void>((done) => agent.once('exit', () => done()).once('error', () => done()));
  const stop = async () => {
    agent.kill();
    await gone; // it removes its socket itself: a directory that is emptied by two at once may stay
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    // It says where it listens once it does.
    await Promise.race([once(agent.stdout, 'data'), ended(agent, 'ssh-agent')]);
    const adding = spawn('ssh-add', ['-q', ...files], {
      env: { ...process.env, SSH_AUTH_SOCK: socket },
      stdio: ['inherit', 'ignore', 'inherit'],
    });
    if ((await ended(adding, 'ssh-add')) !== 0)
      throw new GantryError('invalid', `--ssh: ssh-add did not take ${files.join(', ')}`);
  } catch (error) {
    await stop();
    throw error;
  }
  return { socket, [Symbol.asyncDispose]: stop };
}

/** The exit code. @throws GantryError not-found where the program is not installed */
async function ended(child: ChildProcess, program: string): Promise<number> {
  try {
    const [code] = await once(child, 'exit');
    return typeof code === 'number' ? code : 1;
  } catch (error) {
    throw new GantryError('not-found', `--ssh with key files needs ${program} (openssh-client): ${messageOf(error)}`);
  }
}
