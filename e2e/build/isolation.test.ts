import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createStepRunner } from '#engine/index.ts';
import { openCgroups } from '#linux/index.ts';
import { createNetworks, type Networks } from '#network/index.ts';
import { createLauncherRuntime } from '#runtime/index.ts';
import { leftovers } from '../harness/leftovers.ts';
import { openWorkbench, type Workbench } from './workbench.ts';

const native = (name: string) => fileURLToPath(new URL(`../../build/${name}`, import.meta.url));
const bridge = `gtb${process.pid % 100_000}`;
let bench: Workbench;
let networks: Networks;
before(async () => {
  const runtime = createLauncherRuntime({ shimPath: native('gantry-shim'), initPath: native('gantry-init') });
  bench = await openWorkbench((db, root) => {
    networks = createNetworks({ db }, { bridge });
    return createStepRunner(
      { runtime, networks },
      { execRoot: `${root}/run`, cgroupParent: `/gantry-${bridge}`, onError: assert.ifError },
    );
  });
  await networks.open(new Set());
});
after(async () => {
  await networks[Symbol.asyncDispose]();
  await openCgroups().open(`/gantry-${bridge}`).remove();
  await bench[Symbol.asyncDispose]();
  assert.deepEqual(leftovers(bench.root, bridge), []);
});

test('RUN is as isolated as a container, and what it was mounted on is no part of the layer', async () => {
  const { image, output } = await bench.build(
    {
      Dockerfile: `FROM busybox
WORKDIR /w
RUN chmod 755 /
USER ana
RUN echo "id $(id -un):$(id -gn) in $(pwd) pid $$ home $HOME"; ls /sys/class/net; grep -c . /proc/mounts; echo x > /tmp/made
`,
    },
    { networkMode: 'none' },
  );
  assert.match(output, /id ana:ana in \/w pid 1 home \/home\/ana\nlo\n/);
  const changed: string[] = [];
  await bench.look(image, (root) => changed.push(...readdirSync(root), ...readdirSync(`${root}/etc`)));
  assert.deepEqual(changed.sort(), ['bin', 'etc', 'group', 'home', 'passwd', 'root', 'tmp', 'usr', 'var', 'w']);
});

test('RUN has a network of its own, and cancelling it leaves nothing behind', async () => {
  const controller = new AbortController();
  const onText = (text: string) => {
    if (text.includes('inet ')) controller.abort();
  };
  const context = { Dockerfile: 'FROM busybox\nRUN ip addr show eth0; sleep 60\n' };
  await assert.rejects(bench.build(context, { signal: controller.signal, onText }), { kind: 'cancelled' });
  assert.deepEqual(await bench.leftovers(), []);
});

test('a command that the image does not have is named', async () => {
  await assert.rejects(bench.build({ Dockerfile: 'FROM busybox\nRUN ["/nope"]\n' }, { networkMode: 'none' }), {
    message: /nope/,
  });
  assert.deepEqual(await bench.leftovers(), []);
});
