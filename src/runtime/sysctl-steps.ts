import { GantryError } from '#errors/index.ts';
import type { NamespaceType } from '#oci/index.ts';
import type { PlanStep } from './plan.ts';

const ipcSysctls =
  /^kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced|msg_next_id|sem_next_id|shm_next_id)$|^fs\.mqueue\./;

/** The parts of a name: separated by dots, or by slashes where one comes first (sysctl(8)): then dots are a part's own. */
function partsOf(key: string): readonly string[] {
  const slash = key.indexOf('/');
  const dot = key.indexOf('.');
  return slash >= 0 && (dot < 0 || slash < dot)
    ? key.split('/')
    : key.split('.').map((part) => part.replaceAll('/', '.'));
}

/** The namespace that keeps a sysctl apart from the host's; undefined where none does. */
function namespaceOf(name: string): NamespaceType | undefined {
  if (name.startsWith('net.')) return 'network';
  if (ipcSysctls.test(name)) return 'ipc';
  if (name === 'kernel.domainname' || name === 'kernel.hostname') return 'uts';
  return name.startsWith('user.') ? 'user' : undefined;
}

/**
 * Writes sysctls through the host's own /proc, which shows each process those of its namespaces.
 * @param own namespaces that the container has and the host has not
 * @throws GantryError invalid for one that none of these holds: it would change the host
 */
export function sysctlSteps(
  sysctl: Readonly<Record<string, string>>,
  own: ReadonlySet<NamespaceType>,
): readonly PlanStep[] {
  return Object.entries(sysctl).map(([key, value]) => {
    const parts = partsOf(key);
    const namespace = namespaceOf(parts.join('.'));
    const odd = parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('/'));
    if (odd || namespace === undefined || !own.has(namespace))
      throw new GantryError('invalid', `sysctl "${key}" is not of a namespace that this container has of its own`);
    if (parts.join('.') === 'kernel.hostname')
      throw new GantryError('invalid', `sysctl "${key}" is what the hostname sets; use that`);
    return {
      name: 'write',
      args: [`/proc/sys/${parts.join('/')}`, Buffer.from(value)],
      about: `setting sysctl ${key}=${value}`,
    };
  });
}
