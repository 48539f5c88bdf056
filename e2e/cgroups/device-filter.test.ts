import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { openCgroups } from '#linux/index.ts';
import { attachDeviceFilter } from '../../src/linux/ebpf-device-filter.ts';

const cgroups = openCgroups();
const v2 = cgroups.hierarchies.find(({ version }) => version === 2);

test('attachDeviceFilter: the kernel takes the program and obeys it, and a later one replaces it', {
  skip: v2 === undefined ? 'no cgroup v2 hierarchy is mounted' : false,
}, async () => {
  const cgroup = cgroups.create(`/gantry-test-devices-${process.pid}`, {});
  try {
    const directory = cgroup.directories.find((path) => path.startsWith(`${v2?.mountpoint}/`)) ?? '';
    const opened = () => {
      const script = `echo $$ > ${directory}/cgroup.procs; for d in null zero; do (: < /dev/$d) 2>&- && echo $d; done; :`;
      return spawnSync('sh', ['-c', script], { encoding: 'utf8' }).stdout.split('\n').slice(0, -1);
    };
    assert.deepEqual(opened(), ['null', 'zero']);
    const nothing = { allow: false };
    attachDeviceFilter(directory, [nothing, { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' }]);
    assert.deepEqual(opened(), ['null']);
    attachDeviceFilter(directory, [nothing, { allow: true, type: 'c', major: 1, minor: 5, access: 'rwm' }]);
    assert.deepEqual(opened(), ['zero']);
    attachDeviceFilter(directory, []);
    assert.deepEqual(opened(), ['null', 'zero']);
  } finally {
    await cgroup.remove();
  }
});
