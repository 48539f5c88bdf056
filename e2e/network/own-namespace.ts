// Imported first: runs the importing test file again in a network namespace of its own, which is the host of its tests.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { kernel, openNetlink, rtnetlink } from '#linux/index.ts';

if (process.env.GANTRY_TEST_NAMESPACE === undefined) {
  const { status } = spawnSync('unshare', ['-n', process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, GANTRY_TEST_NAMESPACE: 'own' },
  });
  process.exit(status ?? 1);
}
// Answers of a host that routes 127.0.0.0/8 nowhere, whatever the machine's own settings are.
writeFileSync('/proc/sys/net/ipv4/conf/default/route_localnet', '0');
using socket = openNetlink(kernel, 'route');
socket.request([rtnetlink.setLink(1, { up: true })], 'raising lo');
