import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { type Engine, startEngine } from '../harness/engine.ts';
import { type Outcome, until } from '../harness/program.ts';

const absent = spawnSync('docker', ['--version']).status !== 0 && 'no docker client on this machine';

/** What differs by intent: the program's name, our suggestions, and ages, which may change between two calls. */
const comparable = ({ code, stdout, stderr }: Outcome) => ({
  code,
  // Ours says how many containers use an image where the other client asks for it in other words.
  stdout: stdout
    .replace(/"Containers":"\d+"/g, '"Containers":"N/A"')
    .replace(/\b(?:Less than a second|\d+ seconds?)\b/g, 'AGE')
    .replace(/ +/g, ' '),
  stderr: stderr
    .replace(/^docker:/gm, 'gantry:')
    .replaceAll("'docker ", "'gantry ")
    .replaceAll('Usage:  docker', 'Usage:  gantry')
    .replaceAll(/: docker /g, ': gantry ')
    .replaceAll(/ \(did you mean [^)]*\)/g, ''),
});

/** Of text/template and Docker's functions, on a container. */
const templates = [
  '{{json .Config.Cmd}}',
  '{{json .HostConfig.Binds}}',
  '{{.Config.Cmd}} {{.HostConfig.Binds}} {{.Config.Labels}}',
  '{{join .Config.Cmd ","}}',
  '{{range .Config.Cmd}}{{println .}}{{end}}',
  '{{range $i, $e := .Config.Env}}{{$i}}={{$e}},{{end}}',
  '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}',
  '{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{$v.IPAddress}} {{$v.IPPrefixLen}}{{end}}',
  '{{(index .NetworkSettings.Networks "bridge").Gateway}}',
  '{{len .Mounts}} {{len .Name}}',
  '{{if and .State.Running (eq .Name "/up")}}yes{{else}}no{{end}}',
  '{{if or .State.Dead .State.Paused}}yes{{else if .State.OOMKilled}}oom{{else}}no{{end}}',
  '{{with .State}}{{.Status}}{{end}}{{with .State.Error}}{{.}}{{else}}fine{{end}}',
  '{{printf "%s-%d-%v-%q-%5d|%-5d|%05d" .Name .State.Pid .State.Running .Name 7 7 7}}',
  '{{printf "%t %x %X %.2f" true 255 255 1.5}}',
  '{{lower "ABC"}} {{upper "abc"}} {{title "hello world"}}',
  '{{split .Name "/"}} {{truncate .Name 2}} {{pad .Name 2 3}}|',
  '{{$x := .Name}}{{if true}}{{$x = "z"}}{{end}}{{$x}} {{$.State.Status}}',
  '{{not .State.Running}} {{gt .State.Pid 0}} {{le 1 1}} {{lt "a" "b"}} {{ne 1 2}} {{ge 2 3}} {{eq 1 2 1}}',
  '{{.State.Pid | printf "%08d" | len}}',
  '{{slice .Name 0 2}} {{slice .Config.Cmd 0 1}}',
  '{{html "<a href=\'x\'>"}} {{urlquery "a b&c"}} {{js "it\'s"}}',
  '{{print 1 2 "x" "y" 3}} {{print "a" 1}}',
  '{{/* a comment */}}x{{- " y " -}} z',
  '{{define "t"}}[{{.}}]{{end}}{{template "t" .Name}}',
  '{{block "b" .State}}{{.Status}}{{end}}',
  '{{range .Config.Env}}{{break}}{{end}}{{range .Config.Env}}{{continue}}{{.}}{{end}}',
  '{{range .HostConfig.Binds}}{{.}}{{else}}none{{end}}',
  '{{"quoted \\"x\\""}} {{`raw`}} {{1.5}} {{true}}',
  '{{.State.Nosuch}}',
  '{{nosuch .Name}}',
  '{{.Name',
  '{{if .Name}}x',
  '{{end}}',
];

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
    return isDeepStrictEqual(told[0], told[1]) ? [] : [{ call: args.join(' '), ours: told[0], theirs: told[1] }];
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
      'ps -a --format {{json\u00a0.}}',
      'ps -a --format {{.Command}}|{{.Image}}|{{.RunningFor}}|{{.Status}}|{{.Size}}|{{.LocalVolumes}}',
      'ps -a --format table\u00a0{{.ID}}\\t{{.Names}}\\t{{.Ports}}',
      'ps -a --format table',
      'ps -a --format {{.ID',
      'ps -aq --no-trunc',
      'ps -a -f name=nosuch',
      'ps -a -f volume=cache',
      'ps -a -f network=bridge --format {{.Names}}',
      'ps -a -f exited=3 --format {{.Names}}',
      'ps -a -f ancestor=busybox --format {{.Names}}',
      'ps -a -f expose=5 --format {{.Names}}',
      'ps --last 2 --format {{.Names}}',
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
      'images --format table\u00a0{{.Repository}}\\t{{.Tag}}',
      'images -f dangling=true',
      'images -f reference=gt/*',
      'images -f nosuch=1',
      'images -a --no-trunc -q',
      'history --format {{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}} busybox',
      'history -H=false busybox',
      'history nosuch',
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
    templates: templates.map((template) => `inspect -f ${template.replaceAll(' ', '\u00a0')} up`),
    'networks and volumes': [
      'network ls -q',
      'network ls',
      'volume ls',
      'volume ls -q',
      'volume ls -f name=cac',
      'volume rm cache',
      'network ls --format json',
      'network ls --format {{.ID}}|{{.Name}}|{{.Driver}}|{{.Scope}}|{{.IPv6}}|{{.Internal}}|{{.Labels}}',
      'network ls --no-trunc',
      'network ls -f driver=bridge -q',
      'network ls -f nosuch=1',
      'volume ls --format {{.Name}}|{{.Driver}}|{{.Scope}}|{{.Mountpoint}}|{{.Labels}}',
      'volume ls -f dangling=true',
      'volume ls -f nosuch=1',
      'network inspect nosuch',
      'network inspect -f {{.Name}}|{{.Driver}}|{{.EnableIPv6}} bridge host none',
      'volume inspect nosuch',
      'volume inspect -f {{.Name}}|{{.Scope}} cache',
      'network create bridge',
      'network connect nosuch up',
      'network connect bridge nosuch',
      'network disconnect nosuch up',
      'volume rm nosuch',
      'volume create --driver nosuch x',
      'container prune --filter label=nosuch -f',
      'volume prune -f --filter label=nosuch',
      'network prune -f --filter label=nosuch',
      'image prune -f --filter label=nosuch',
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
      'cp nosuch:/x -',
      'cp up:/nosuch -',
      'cp up:/etc up:/etc2',
      'cp a b',
      'exec up',
      'top made',
      'top nosuch',
      'diff nosuch',
      'commit nosuch',
      'export nosuch',
      'wait nosuch',
      'update nosuch -m 64m',
      'restart nosuch',
      'container nosuch',
      'image nosuch',
      'inspect',
      'load -i /nosuch',
      'import /nosuch',
      'rmi',
      'image inspect nosuch',
      'container inspect up -f {{.State.Status}}',
      'push nosuch',
      'rename up up',
      'create --restart bad busybox',
      'create --network a --network-alias b --ip c busybox',
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
      const different = [];
      for (const call of all)
        different.push(...(await same(call.split(' ').map((word) => word.replaceAll('\u00a0', ' ')))));
      assert.deepEqual(different, []);
    });
});
