// Creates and starts a container as an engine would, says so, and waits to be killed: argv are directory, cgroup, rootfs.
import { Workbench } from './workbench.ts';

const [id = '', directory = '', cgroupsPath = '', rootfs = '', log = ''] = process.argv.slice(2);
const bench = new Workbench();
const spec = bench.spec(id, ['sh', '-c', 'echo begun; while ! [ -e /go ]; do sleep 0.05; done; echo ended; exit 9']);
const task = await bench.runtime.create({
  id,
  directory,
  spec: { ...spec, linux: { ...spec.linux, cgroupsPath } },
  rootfs: [{ destination: '/', type: 'bind', source: rootfs, options: ['rbind'] }],
  init: false,
  stdio: { terminal: false, stdin: true, stdinOnce: true, log: { path: log, maxBytes: 0, maxFiles: 1 } },
});
const io = await task.attach();
if (process.argv.includes('--start')) await task.start();
process.stdout.write(`${bench.directory} ${task.pid}\n`);
for await (const { data } of io.output) process.stdout.write(data);
