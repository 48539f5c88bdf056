import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerOptions } from '../engine.ts';
import { capabilitiesOf, impossibleCapabilities } from './capabilities.ts';
import { thisMachine } from './machine.ts';
import { resolveUser } from './resolve-user.ts';
import { composeSpec } from './runtime-spec.ts';

const passwd = 'root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n';
const group = 'root:x:0:\nana:x:1000:\naudio:x:29:ana\n';
const inputOf = (options: ContainerOptions, config: object = {}) => ({
  id: 'a'.repeat(64),
  options,
  image: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers' as const, diff_ids: [] }, config },
  user: { passwd, group },
  mounts: [],
  files: undefined,
  cgroupsPath: '/gantry/x',
});
const compose = (options: Partial<ContainerOptions>, config: object = {}) =>
  composeSpec(inputOf({ image: 'x', ...options }, config));

test('composeSpec takes the command from image and user as Docker does', () => {
  const image = { Entrypoint: ['/entry'], Cmd: ['a', 'b'] };
  assert.deepEqual(compose({}, image).spec.process?.args, ['/entry', 'a', 'b']);
  assert.deepEqual(compose({ command: ['c'] }, image).spec.process?.args, ['/entry', 'c']);
  assert.deepEqual(compose({ entrypoint: ['sh'] }, image).spec.process?.args, ['sh']);
  assert.deepEqual(compose({ entrypoint: [], command: ['ls'] }, image).spec.process?.args, ['ls']);
  assert.throws(() => compose({}), { code: 'no-command' });
});

test('composeSpec merges the environment and remembers each source', () => {
  const { spec, provenance } = compose(
    { command: ['x'], env: ['B=user', 'C'] },
    { Env: ['A=image', 'B=image', 'C=image'] },
  );
  assert.ok(spec.process?.env?.includes('A=image'));
  assert.ok(spec.process?.env?.includes('B=user'));
  assert.ok(!spec.process?.env?.some((e) => e.startsWith('C=')));
  assert.equal(provenance['process.env[A]'], 'image');
  assert.equal(provenance['process.env[B]'], 'user');
  assert.equal(provenance['process.env[PATH]'], 'default');
});

test('composeSpec gives 14 capabilities, and an ordinary user none in effect', () => {
  assert.equal(compose({ command: ['x'] }).spec.process?.capabilities?.effective?.length, 14);
  const user = compose({ command: ['x'], user: 'ana' }).spec.process;
  assert.deepEqual(user?.capabilities?.effective, []);
  assert.deepEqual(user?.user, { uid: 1000, gid: 1000, additionalGids: [1000, 29] });
  assert.deepEqual(
    compose({ command: ['x'], capDrop: ['ALL'], capAdd: ['NET_ADMIN'] }).spec.process?.capabilities?.bounding,
    ['CAP_NET_ADMIN'],
  );
  assert.throws(() => compose({ command: ['x'], capAdd: ['FLY'] }), /unknown capability: "FLY"/);
});

const modules = (apparmor: boolean, selinux: boolean) => ({
  ...thisMachine(),
  modules: { apparmor, selinux },
});

test('composeSpec gives AppArmor profiles and SELinux labels where the kernel has them, and refuses them where not', () => {
  const options = {
    image: 'x',
    command: ['x'],
    securityOptions: ['apparmor=mine', 'label=type:mine_t', 'label=level:s0:c1'],
  };
  const { process, linux } = composeSpec({ ...inputOf(options), machine: modules(true, true) }).spec;
  assert.equal(process?.apparmorProfile, 'mine');
  assert.equal(process?.selinuxLabel, 'system_u:system_r:mine_t:s0:c1');
  assert.equal(linux?.mountLabel, 'system_u:object_r:container_file_t:s0:c1');
  for (const option of ['apparmor=mine', 'label=type:mine_t'])
    assert.throws(
      () => composeSpec({ ...inputOf({ ...options, securityOptions: [option] }), machine: modules(false, false) }),
      {
        kind: 'unsupported',
        message: new RegExp(option),
      },
    );
  const without = compose({ command: ['x'], securityOptions: ['apparmor=unconfined', 'label=disable'] }).spec;
  assert.equal(without.process?.selinuxLabel, undefined);
});

test('composeSpec leaves the host\u2019s namespaces out, and says which were asked for', () => {
  const { spec, provenance } = compose({ command: ['x'], pidMode: 'host', cgroupMode: 'private' });
  assert.deepEqual(
    spec.linux?.namespaces?.map(({ type }) => type),
    ['mount', 'ipc', 'uts', 'cgroup', 'network', 'time'],
  );
  assert.equal(provenance['linux.namespaces[pid]'], 'user');
  assert.equal(provenance['linux.namespaces[ipc]'], 'default');
  assert.throws(() => compose({ command: ['x'], pidMode: 'mine' }), { message: /invalid PID mode: mine/ });
});

test('composeSpec hides nothing from a privileged container, and only what it is told otherwise', () => {
  const { linux } = compose({ command: ['x'], privileged: true }).spec;
  assert.deepEqual([linux?.maskedPaths, linux?.readonlyPaths, linux?.seccomp], [[], [], undefined]);
  assert.deepEqual(linux?.resources?.devices, [{ allow: true, access: 'rwm' }]);
  assert.deepEqual(compose({ command: ['x'], maskedPaths: ['/proc/uptime'] }).spec.linux?.maskedPaths, [
    '/proc/uptime',
  ]);
  const rules = compose({ command: ['x'], deviceCgroupRules: ['c 42:* rw'] }).spec.linux?.resources?.devices;
  assert.deepEqual(rules?.at(-1), { allow: true, type: 'c', major: 42, access: 'rw' });
});

test('resolveUser reads the image, not the host', () => {
  assert.deepEqual(resolveUser('', passwd, group), { uid: 0, gid: 0, additionalGids: [0], home: '/root' });
  assert.deepEqual(resolveUser('7:8', passwd, group), { uid: 7, gid: 8, additionalGids: [8], home: '/' });
  assert.deepEqual(resolveUser('ana:audio', passwd, group), {
    uid: 1000,
    gid: 29,
    additionalGids: [29],
    home: '/home/ana',
  });
  assert.throws(() => resolveUser('eve', passwd, group), /unable to find user eve/);
  assert.throws(() => resolveUser('4294967295', passwd, group), /in range/);
});

test('capabilities are those that the engine has itself; one asked for by name is told of', () => {
  const possible = ['CAP_CHOWN', 'CAP_NET_ADMIN'];
  assert.deepEqual(capabilitiesOf({ privileged: true }, possible), possible);
  assert.deepEqual(capabilitiesOf({ capAdd: ['ALL'], capDrop: ['chown'] }, possible), ['CAP_NET_ADMIN']);
  assert.deepEqual(capabilitiesOf({ capDrop: ['ALL'], capAdd: ['SYS_ADMIN', 'NET_ADMIN'] }, possible), [
    'CAP_NET_ADMIN',
  ]);
  assert.deepEqual(impossibleCapabilities({ capAdd: ['sys_admin', 'ALL', 'CHOWN'] }, possible), [
    'The engine itself lacks CAP_SYS_ADMIN, so the container does not get it.',
  ]);
});
