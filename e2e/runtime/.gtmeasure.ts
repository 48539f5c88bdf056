// create+start+wait+delete of true, milliseconds: min and median
import { Workbench } from '/work/main/e2e/runtime/workbench.ts';

await using bench = new Workbench();
const wish =
  process.argv[3] === 'user'
    ? ({
        linux: {
          namespaces: ['mount', 'pid', 'ipc', 'uts', 'cgroup', 'network', 'user'].map((type) => ({ type })),
          uidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
          gidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
        },
      } as any)
    : process.argv[3] === 'time'
      ? ({
          linux: { namespaces: ['mount', 'pid', 'ipc', 'uts', 'cgroup', 'network', 'time'].map((type) => ({ type })) },
        } as any)
      : {};
const times: number[] = [];
for (let i = 0; i < Number(process.argv[2] ?? 60); i++) {
  const t = performance.now();
  const task = await bench.create(['true'], wish);
  await task.start();
  await task.wait();
  await task.delete();
  times.push(performance.now() - t);
}
times.sort((a, b) => a - b);
console.log('min', times[0]?.toFixed(2), 'median', times[times.length >> 1]?.toFixed(2));
