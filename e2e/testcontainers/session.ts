// A session of testcontainers, as a project's own tests are one: DOCKER_HOST says where. What it leaves is the reaper's.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { text } from 'node:stream/consumers';
import { GenericContainer, Network, Wait } from 'testcontainers';

// Its own connections keep no program alive.
const alive = setInterval(() => undefined, 1000);
const page = (body: string) => ['sh', '-c', `echo ${body} > /tmp/index.html; exec httpd -f -p 8080 -h /tmp`];
const served = () => new GenericContainer('busybox').withExposedPorts(8080);
const bodyOf = async (url: string) => (await (await fetch(url)).text()).trim();

// The default way to wait: the port answers on the host and listens inside.
await using listening = await served()
  .withCommand(page('listening'))
  .withEnvironment({ PART: 'one' })
  .withLabels({ part: 'listening' })
  .withTmpFs({ '/scratch': 'rw,size=1m' })
  .withResourcesQuota({ memory: 0.06, cpu: 0.5 })
  .withUlimits({ nofile: { soft: 200, hard: 200 } })
  .start();
assert.equal(await bodyOf(`http://${listening.getHost()}:${listening.getMappedPort(8080)}/index.html`), 'listening');

// Ways to wait: a line of the log, HTTP, a health check, a command, the end of a container that runs once, and all of several.
await using logged = await new GenericContainer('busybox')
  .withCommand(['sh', '-c', 'echo begin; sleep 0.3; echo ready 7; exec sleep 1000'])
  .withWaitStrategy(Wait.forLogMessage(/ready \d/))
  .start();
await using web = await served()
  .withCommand(['sh', '-c', `sleep 0.3; ${page('web')[2]}`])
  .withWaitStrategy(Wait.forHttp('/index.html', 8080).forStatusCode(200))
  .start();
await using healthy = await new GenericContainer('busybox')
  .withCommand(['sh', '-c', 'sleep 0.2; touch /well; exec sleep 1000'])
  .withHealthCheck({ test: ['CMD-SHELL', 'test -e /well'], interval: 100, timeout: 1000, retries: 50, startPeriod: 0 })
  .withWaitStrategy(Wait.forHealthCheck())
  .start();
await using commanded = await new GenericContainer('busybox')
  .withCommand(['sh', '-c', 'sleep 0.2; touch /made; echo going; exec sleep 1000'])
  .withWaitStrategy(Wait.forAll([Wait.forSuccessfulCommand('test -e /made'), Wait.forLogMessage('going')]))
  .start();
await using once = await new GenericContainer('busybox')
  .withCommand(['sh', '-c', 'echo once'])
  .withWaitStrategy(Wait.forOneShotStartup())
  .start();
assert.equal((await text(await once.logs())).trim(), 'once');
await assert.rejects(
  new GenericContainer('busybox')
    .withCommand(['sh', '-c', 'exit 1'])
    .withWaitStrategy(Wait.forOneShotStartup())
    .start(),
  /failed to start/i,
);

// exec
const { exitCode, stdout, stderr, output } = await listening.exec(
  ['sh', '-c', 'echo $PART $MORE; pwd; echo e >&2; exit 5'],
  { env: { MORE: 'two' }, workingDir: '/tmp', user: '1000' },
);
assert.deepEqual([exitCode, stdout, stderr], [5, 'one two\n/tmp\n', 'e\n']);
assert.equal(output.length, stdout.length + stderr.length);
assert.equal((await listening.exec('ulimit -n')).exitCode, 127, 'a word of the shell is no program');
for (let round = 0; round < 20; round++) assert.equal((await listening.exec(['sh', '-c', 'exit 9'])).exitCode, 9);

// copy, before and after the start, and out of it
const folder = mkdtempSync(`${tmpdir()}/gantry-testcontainers-`);
try {
  writeFileSync(`${folder}/file`, 'a file\n');
  await using copied = await new GenericContainer('busybox')
    .withCopyFilesToContainer([{ source: `${folder}/file`, target: '/from/file', mode: 0o600 }])
    .withCopyDirectoriesToContainer([{ source: folder, target: '/folder' }])
    .withCopyContentToContainer([{ content: 'said\n', target: '/said' }])
    .withCommand(['sh', '-c', 'cat /from/file /folder/file /said > /all; echo copied; exec sleep 1000'])
    .withWaitStrategy(Wait.forLogMessage('copied'))
    .start();
  assert.equal((await copied.exec(['cat', '/all'])).stdout, 'a file\na file\nsaid\n');
  await copied.copyContentToContainer([{ content: 'later\n', target: '/later' }]);
  assert.equal((await copied.exec(['cat', '/later'])).stdout, 'later\n');
  assert.match(await text(await copied.copyArchiveFromContainer('/said')), /said\n/);

  // an image from a Dockerfile
  writeFileSync(
    `${folder}/Dockerfile`,
    'FROM busybox\nARG WHO=nobody\nRUN echo built for $WHO > /note\nCMD cat /note; sleep 1000\n',
  );
  const built = await GenericContainer.fromDockerfile(folder).withBuildArgs({ WHO: 'ana' }).build();
  await using fromFile = await built.withWaitStrategy(Wait.forLogMessage('built for ana')).start();
  assert.ok(fromFile.getId());
} finally {
  rmSync(folder, { recursive: true });
}

// networks, with names
await using network = await new Network().start();
await using server = await served().withCommand(page('near')).withNetwork(network).withNetworkAliases('server').start();
await using asking = await new GenericContainer('busybox').withCommand(['sleep', '1000']).withNetwork(network).start();
assert.equal((await asking.exec(['wget', '-q', '-O', '-', 'http://server:8080/index.html'])).stdout, 'near\n');
assert.match(server.getIpAddress(network.getName()), /^\d+\.\d+\.\d+\.\d+$/);

// restart, commit, stop
await server.restart();
assert.equal(await bodyOf(`http://${server.getHost()}:${server.getMappedPort(8080)}/index.html`), 'near');
const committed = await logged.commit({ repo: 'committed', tag: 'v1', deleteOnExit: true });
assert.match(committed, /^sha256:/);
const stopped = await logged.stop({ remove: false });
assert.match(await text(await stopped.copyArchiveFromContainer('/etc/passwd')), /ana/);

// Left behind on purpose.
await new GenericContainer('busybox').withCommand(['sleep', '1000']).withName('left-behind').start();
clearInterval(alive);
console.log('session over', web.getId() !== healthy.getId() && commanded.getName() !== '');
