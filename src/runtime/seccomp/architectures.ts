import { GantryError } from '#errors/index.ts';
import { syscallTables } from './syscall-tables.ts';
import { x86Tables } from './syscall-tables-x86.ts';

export type SeccompArch = 'x64' | 'arm64';

/** AUDIT_ARCH_* of the architectures that filters are made for. */
export const auditArch: Readonly<Record<SeccompArch | 'x86', number>> = {
  x64: 0xc000003e,
  arm64: 0xc00000b7,
  x86: 0x40000003,
};

/** One system call interface: what a filter knows it by, its calls, and whether its arguments have 32 bits. */
export interface Interface {
  readonly audit: number;
  /** Tables with numbers of their own; x32's are beyond x86-64's. */
  readonly tables: readonly Readonly<Record<string, number>>[];
  readonly narrow: boolean;
  /** Calls that are also reached through another, by a number in its first argument. */
  readonly through: Readonly<Record<string, readonly [number: number, selector: number]>>;
}

const numbered = (call: number, first: number, names: string) =>
  names.split(' ').map((name, index): [string, readonly [number, number]] => [name, [call, first + index]]);

/** linux/net.h (socketcall(2)) and linux/ipc.h (ipc(2)). */
const x86Through = () =>
  Object.fromEntries([
    ...numbered(
      102,
      1,
      'socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom',
    ),
    ...numbered(102, 13, 'shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg'),
    ...numbered(117, 1, 'semop semget semctl semtimedop'),
    ...numbered(117, 11, 'msgsnd msgrcv msgget msgctl'),
    ...numbered(117, 21, 'shmat shmdt shmget shmctl'),
  ]);

const known =
  /^SCMP_ARCH_(?:X86|X86_64|X32|ARM|AARCH64|LOONGARCH64|M68K|MIPS(?:64|64N32|EL|EL64|EL64N32)?|PPC|PPC64|PPC64LE|S390|S390X|SH|SHEB|PARISC|PARISC64|RISCV64)$/;

/**
 * The interfaces that a profile is for: the machine's own always, x86 and x32 beside x86-64 where it lists them. Others are
 * of machines where this one's programs do not run, or (ARM) are refused by killing the process.
 * @throws GantryError invalid for a name that is none
 */
export function interfacesOf(arch: SeccompArch, architectures: readonly string[] = []): readonly Interface[] {
  for (const name of architectures)
    if (!known.test(name)) throw new GantryError('invalid', `"${name}" is not a seccomp architecture`);
  const has = (name: string) => arch === 'x64' && architectures.includes(`SCMP_ARCH_${name}`);
  const own = { audit: auditArch[arch], narrow: false, through: {} };
  const x86 = () => ({ audit: auditArch.x86, tables: [x86Tables.x86()], narrow: true, through: x86Through() });
  return [
    { ...own, tables: [syscallTables[arch], ...(has('X32') ? [x86Tables.x32()] : [])] },
    ...(has('X86') ? [x86()] : []),
  ];
}
