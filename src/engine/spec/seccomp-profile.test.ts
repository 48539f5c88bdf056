import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seccompOfProfile } from './seccomp-profile.ts';

const profile = (rules: readonly object[], more: object = {}) =>
  seccompOfProfile(JSON.stringify({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: rules, ...more }), ['CAP_SYS_ADMIN']);
const allow = (name: string, conditions: object = {}) => ({ names: [name], action: 'SCMP_ACT_ALLOW', ...conditions });
const ours = process.arch === 'x64' ? 'amd64' : process.arch;

test('seccompOfProfile keeps the rules that are for this container, machine and kernel', () => {
  const { syscalls = [] } = profile([
    allow('a'),
    allow('b', { includes: { caps: ['CAP_SYS_ADMIN'] } }),
    allow('c', { includes: { caps: ['CAP_SYS_BOOT'] } }),
    allow('d', { excludes: { caps: ['CAP_SYS_ADMIN'] } }),
    allow('e', { excludes: { caps: ['CAP_SYS_BOOT'] } }),
    allow('f', { includes: { arches: [ours] } }),
    allow('g', { includes: { arches: ['s390x'] } }),
    allow('h', { excludes: { arches: [ours] } }),
    allow('i', { includes: { minKernel: '4.8' } }),
    allow('j', { includes: { minKernel: '999.0' } }),
    { name: 'k', action: 'SCMP_ACT_ERRNO', errnoRet: 38, args: null },
  ]);
  assert.equal(syscalls.flatMap(({ names }) => names).join(''), 'abefik');
  assert.deepEqual(syscalls.at(-1), { names: ['k'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 });
});

test('seccompOfProfile takes this machine\u2019s line of archMap', () => {
  const native = process.arch === 'arm64' ? 'SCMP_ARCH_AARCH64' : 'SCMP_ARCH_X86_64';
  const archMap = [
    { architecture: native, subArchitectures: ['SCMP_ARCH_X86'] },
    { architecture: 'SCMP_ARCH_S390X', subArchitectures: [] },
  ];
  assert.deepEqual(profile([], { archMap }).architectures, [native, 'SCMP_ARCH_X86']);
});

test('seccompOfProfile refuses what it cannot read, saying what', () => {
  const wrong = (json: string, message: RegExp) =>
    assert.throws(() => seccompOfProfile(json, []), { kind: 'invalid', message });
  wrong('{', /Decoding seccomp profile failed/);
  wrong('[]', /not a JSON object/);
  wrong('{}', /no defaultAction/);
  wrong('{"defaultAction":"SCMP_ACT_ALLOW","colour":1}', /unknown field "colour"/);
  wrong('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"]}]}', /rule of a has no action/);
  wrong('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ALLOW"}]}', /names no call/);
});
