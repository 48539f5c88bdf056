import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gantryProgram, run } from '../harness/program.ts';

test('with no engine on the default socket one is started in the background, once for two commands', async () => {
  // In namespaces of its own, /run, /var/log and /var/lib are nobody else's, and so is the default bridge.
  const script = `
    set -e
    for folder in /run /var/log /var/lib; do mount -t tmpfs gantry-test $folder; done
    unset GANTRY_HOST DOCKER_HOST
    ${gantryProgram} ps -q & first=$!
    ${gantryProgram} images -q
    wait $first
    ${gantryProgram} version --format '{{.Server.Platform.Name}}'
    # A listening socket: the flag __SO_ACCEPTCON is set (proc_net_unix).
    echo "listeners $(grep ' /run/gantry/gantry.sock$' /proc/net/unix | awk '$4 == "00010000"' | wc -l)"
    grep -l listening /var/log/gantry.log
  `;
  const { code, stdout, stderr } = await run('unshare', [
    '-mnpf',
    '--kill-child',
    '--mount-proc',
    'bash',
    '-c',
    script,
  ]);
  assert.equal(code, 0, stderr);
  assert.match(
    stderr,
    /^gantry: no engine on unix:\/\/\/run\/gantry\/gantry\.sock; starting one in the background \(pid \d+, log \/var\/log\/gantry\.log\)$/m,
  );
  assert.equal(stdout, 'Gantry\nlisteners 1\n/var/log/gantry.log\n');
});
