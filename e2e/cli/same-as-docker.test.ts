import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { type Outcome, until } from '../harness/program.ts';

const absent = spawnSync('docker', ['--version']).status !== 0 && 'no docker client on this machine';

/** What differs by intent: the program's name, our suggestions, and ages, which may change between two calls. */
const comparable = ({ code, stdout, stderr }: Outcome) => ({
  code,
  stdout: stdout.replace(/\b(?:Less than a second|\d+ seconds?)\b/g, 'AGE').replace(/ +/g, ' '),
  stderr: stderr
    .replace(/^docker:/gm, 'gantry:')
    .replaceAll("'docker ", "'gantry ")
    .replaceAll('Usage:  docker', 'Usage:  gantry')
    .replaceAll(/: docker /g, ': gantry ')
    .replaceAll(/ \(did you mean [^)]*\)/g, ''),
});

describe('gantry and the stock docker client on one engine', { skip: absent }, () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
    const make = async (...args: string[]) => assert.equal((await engine.gantry(args)).code, 0, args.join(' '));
    await make('create', '--name', 'made', '-l', 'b=2', '-l', 'a=1', '--expose', '5-7', 'busybox', 'sleep', '100');
    await make('run', '-d', '--name', 'up', '-it', '-v', 'cache:/cache', 'busybox', 'sh');
    await make('run', '-d', '--name', 'done', 'busybox', 'sh', '-c', 'echo out; echo err >&2; touch /new; exit 3');
    await make('wait', 'done');
    await until(async () => ((await engine.gantry(['logs', 'done'])).stderr === 'err\n' ? true : undefined));
    await make('tag', 'busybox', 'gt/other:v1');
  });
  after(() => engine[Symbol.asyncDispose]());

  const same = async (args: readonly string[]) => {
    const [theirs, ours] = [await engine.docker(args), await engine.gantry(args)];
    const told = [comparable(ours), comparable(theirs)];
    // Docker's client shows an image's tags in the order of a hash table.
    if (args[0] === 'images')
      for (const outcome of told) outcome.stdout = outcome.stdout.split('\n').toSorted().join('\n');
    assert.deepEqual(told[0], told[1], args.join(' '));
  };

  const calls: Readonly<Record<string, readonly string[]>> = {
    ps: [
      'ps',
      'ps -a',
      'ps -aq',
      'ps -a --no-trunc',
      'ps -n 1',
      'ps -l',
      'container ls -a',
      'ps -a -f name=up',
      'ps -a -f status=exited -f label=a',
      'ps -f foo=bar',
      'ps -f foo',
      'ps -a --format json',
      'ps -a --format {{.ID}}|{{.Names}}|{{.Labels}}|{{.Label\u00a0"a"}}|{{.Ports}}|{{.Mounts}}|{{.Networks}}|{{.CreatedAt}}|{{.State}}',
      'ps -a --format table\u00a0{{.Names}}\\t{{upper\u00a0.State}}',
    ],
    images: [
      'images',
      'images -q',
      'images --no-trunc',
      'images --digests',
      'images gt/other',
      'images nosuch',
      'images --format json',
      'images --format {{.Repository}}:{{.Tag}}\u00a0{{.ID}}\u00a0{{.Size}}\u00a0{{.CreatedAt}}',
      'history busybox',
      'history --no-trunc -q busybox',
      'history --format json busybox',
    ],
    inspect: [
      'inspect made',
      'inspect busybox',
      'inspect made busybox nosuch',
      'inspect bridge',
      'container inspect nosuch',
      'image inspect busybox',
      'network inspect bridge',
      'volume inspect cache',
      'inspect -f {{.State.Status}}\u00a0{{.HostConfig.NetworkMode}} made',
      'inspect -f {{.Config.Labels}} made',
      'inspect -f {{range\u00a0$k,\u00a0$v\u00a0:=\u00a0.Config.ExposedPorts}}{{$k}}\u00a0{{end}} made',
      'inspect -f {{.Nosuch}} made',
      'inspect -f {{.State made',
    ],
    'networks and volumes': [
      'network ls -q',
      'network ls',
      'volume ls',
      'volume ls -q',
      'volume ls -f name=cac',
      'volume rm cache',
    ],
    'logs, port, top, diff, wait': [
      'logs done',
      'logs -t done',
      'logs -n 1 done',
      'logs nosuch',
      'port made',
      'port up 80',
      'top up',
      'diff done',
      'wait done',
    ],
    'exit codes of run and exec': [
      'run --rm busybox sh -c echo\u00a0a;echo\u00a0b>&2;exit\u00a05',
      'run --rm busybox nosuch',
      'run --rm busybox /etc',
      'run --rm busybox sh -c kill\u00a0-9\u00a0$$',
      'run -it busybox',
      'run --pull never nosuch',
      'run --nosuch busybox',
      'run --name made busybox',
      'run --rm --network nosuch busybox',
      'run -m abc busybox',
      'run --env-file /nosuch busybox',
      'run --rm -e A=1 -w /tmp -u 3:4 --entrypoint sh busybox -c id\u00a0-u;pwd;echo\u00a0$A',
      'run',
      'create --name made busybox',
      'exec up sh -c echo\u00a0a;exit\u00a04',
      'exec -it up true',
      'exec made true',
      'exec nosuch true',
    ],
    refusals: [
      'rm up',
      'rm nosuch',
      'rm -f nosuch',
      'rmi nosuch',
      'tag nosuch a:b',
      'start nosuch',
      'stop nosuch made',
      'kill made',
      'kill -s FOO up',
      'pause made',
      'unpause up',
      'rename up done',
      'attach made',
      'save nosuch',
      'stop',
      'ps x',
      'ps --foo',
      'tag a',
      'logout hub.invalid',
    ],
  };
  for (const [title, all] of Object.entries(calls))
    test(`agree on ${title}`, async () => {
      for (const call of all) await same(call.split(' ').map((word) => word.replaceAll('\u00a0', ' ')));
    });
});
