import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { type ErrorKind, GantryError } from '#errors/index.ts';
import { type OperationName, operations, type PlanStep } from './plan.ts';

/**
 * What the launcher says when an operation failed. Bytes: `u32 3` (the packet's type, of the launcher's protocol), `u32 index of the
 * operation in the plan`, `u32 its code`, `u32 errno`, then text: what it was done to. The index of a failure that is no
 * operation's is 2^32 - 1. A command's exit status (`command`) stands in place of errno.
 */
export interface LaunchFailure {
  readonly index: number;
  readonly operation: OperationName | undefined;
  readonly errno: number;
  readonly detail: string;
}

export const errorPacketType = 3;
const names = new Map<number, OperationName>(
  Object.entries(operations).map(([name, [code]]) => [code, name as OperationName]),
);

/** @throws GantryError internal for bytes that are no such packet */
export function parseLaunchFailure(packet: Buffer): LaunchFailure {
  if (packet.length < 16 || packet.readUInt32LE(0) !== errorPacketType)
    throw new GantryError('internal', `the launcher said ${packet.length} bytes that are no error`);
  return {
    index: packet.readUInt32LE(4),
    operation: names.get(packet.readUInt32LE(8)),
    errno: packet.readUInt32LE(12),
    detail: packet.toString('utf8', 16),
  };
}

export const errnoName = (errno: number): string => (errno === 0 ? 'no error' : getSystemErrorName(-errno));
const errnoText = (errno: number): string => (errno === 0 ? 'no error' : getSystemErrorMessage(-errno));

/**
 * The error of a failed plan. A command that is not there is not-found `command-not-found`, one that cannot be run is
 * forbidden `command-not-executable`; the texts are Docker's. Anything else names the step, what it was done to and the errno.
 * @param steps the plan, where it is still at hand
 */
export function launchError(failure: LaunchFailure, steps: readonly PlanStep[] = []): GantryError {
  const { errno, detail } = failure;
  const name = errnoName(errno);
  const step = steps[failure.index];
  switch (failure.operation) {
    case 'exec':
    case 'lookup':
      return commandError(detail, name, errnoText(errno));
    case 'command':
      return new GantryError('internal', `${detail} exited with ${errno}`, { code: 'command-failed' });
    case 'pidfd':
      if (name === 'ESRCH') return new GantryError('conflict', 'the container is not running', { code: 'not-running' });
      break;
    case 'clone':
      // A pid namespace whose first process is gone takes no more.
      if (name === 'ENOMEM')
        return new GantryError('conflict', 'the container is not running', { code: 'not-running' });
      break;
    case 'node':
      if (name === 'EBUSY')
        return new GantryError('conflict', `${step?.about ?? 'making a device'}: something else is at ${detail}`);
      break;
    case 'idmap':
      if (name === 'EINVAL')
        return new GantryError(
          'unsupported',
          `${step?.about ?? 'idmap'}: its filesystem takes no idmapped mounts, or it is one already`,
        );
      break;
    case 'rlimit':
      if (name === 'EPERM')
        return new GantryError(
          'forbidden',
          `${step?.about ?? 'rlimit'}: the hard limit is above the engine's own and cannot be raised without CAP_SYS_RESOURCE; ask for less or raise the engine's`,
        );
      break;
  }
  const what = step?.about ?? failure.operation ?? 'launching';
  return new GantryError(kindOf(name), `${what}${detail === '' ? '' : ` (${detail})`}: ${errnoText(errno)} (${name})`, {
    code: name,
  });
}

/** The child's detail for exec: `s` a path with a slash or `p` a name looked up in PATH, `i` where the file is there and its interpreter is not, then the name. */
function commandError(detail: string, name: string, text: string): GantryError {
  const [how, command] = [detail.slice(0, 1), detail.slice(1)];
  switch (name) {
    case 'ENOENT':
    case 'ENOTDIR':
      if (how === 'i')
        return new GantryError('not-found', `exec ${command}: no such file or directory (its interpreter is missing)`, {
          code: 'command-not-found',
        });
      return new GantryError(
        'not-found',
        how === 's'
          ? `exec: "${command}": stat ${command}: no such file or directory`
          : `exec: "${command}": executable file not found in $PATH`,
        { code: 'command-not-found' },
      );
    case 'EACCES':
    case 'EPERM':
      return new GantryError('forbidden', `exec: "${command}": permission denied`, { code: 'command-not-executable' });
    case 'EISDIR':
      return new GantryError('forbidden', `exec: "${command}": is a directory`, { code: 'command-not-executable' });
    case 'ENOEXEC':
      return new GantryError('forbidden', `exec ${command}: exec format error`, { code: 'command-not-executable' });
    default:
      return new GantryError('forbidden', `exec ${command}: ${text} (${name})`, { code: 'command-not-executable' });
  }
}

function kindOf(name: string): ErrorKind {
  switch (name) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOMEM':
    case 'EAGAIN':
      return 'exhausted';
    case 'ENOSYS':
    case 'EOPNOTSUPP':
    case 'ENODEV':
      return 'unsupported';
    case 'EPERM':
    case 'EACCES':
    case 'EROFS':
      return 'forbidden';
    default:
      return 'invalid';
  }
}
