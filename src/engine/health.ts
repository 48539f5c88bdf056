import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { isGantryError, messageOf } from '#errors/index.ts';
import type { Healthcheck } from '#oci/index.ts';
import type { Task } from '#runtime/index.ts';
import type { Context } from './context.ts';
import type { Container, Health } from './engine.ts';
import { linkEnvironment } from './legacy-links.ts';
import { composeExecProcess } from './spec/exec-process.ts';
import { userFilesIn } from './user-files.ts';

const second = 1_000_000_000; // Docker's durations are in nanoseconds
const outputLimit = 4096;
const ms = (nanoseconds: number | undefined, fallback: number): number => (nanoseconds || fallback) / 1e6;

/** What runs: the person's check over the image's, field by field; undefined for none. */
export function healthcheckOf({ options, imageConfig }: Pick<Container, 'options' | 'imageConfig'>) {
  const check: Healthcheck = { ...imageConfig.config?.Healthcheck, ...options.healthcheck };
  const [kind, ...rest] = check.Test ?? [];
  if (kind === undefined || kind === 'NONE') return undefined;
  const shell = options.shell ?? imageConfig.config?.Shell ?? ['/bin/sh', '-c'];
  return { check, command: kind === 'CMD-SHELL' ? [...shell, ...rest] : rest };
}

/** Probes a running container until its monitor is disposed of (Dockerfile reference: HEALTHCHECK). `onUnhealthy` is called when it becomes that. */
export function startHealthMonitor(
  context: Context,
  container: Container,
  parent: Task,
  onUnhealthy: () => void,
): void {
  const wanted = healthcheckOf(container);
  if (wanted === undefined) return;
  const { check, command } = wanted;
  const { id } = container;
  const { lives, store, options } = context;
  const live = lives.of(id);
  const began = Date.now();
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  live.healthMonitor?.[Symbol.dispose]();
  live.healthMonitor = {
    [Symbol.dispose]() {
      over = true;
      clearTimeout(timer);
    },
  };
  const show = (health: Health) => {
    const present = store.get(id);
    if (present === undefined) return;
    const before = present.health?.status;
    store.note({ ...present, health });
    if (before === undefined || before === health.status) return;
    context.tell(present, `health_status: ${health.status}`);
    if (health.status === 'unhealthy') onUnhealthy();
  };
  show({ status: 'starting', failingStreak: 0, log: [] });

  const inStartPeriod = () => Date.now() - began < ms(check.StartPeriod, 0);
  const schedule = () => {
    const starting = store.get(id)?.health?.status === 'starting' && inStartPeriod();
    const delay = starting ? ms(check.StartInterval, 5 * second) : ms(check.Interval, 30 * second);
    timer = setTimeout(() => void round().catch((e: unknown) => options.onError(e, `health check of ${id}`)), delay);
  };
  const round = async () => {
    const start = new Date().toISOString();
    const { exitCode, output } = await probe(context, container, parent, command, ms(check.Timeout, 30 * second));
    const present = store.get(id);
    if (over || present?.health === undefined) return;
    const log = [...present.health.log, { start, end: new Date().toISOString(), exitCode, output }].slice(-5);
    if (exitCode === 0) show({ status: 'healthy', failingStreak: 0, log });
    else if (present.health.status === 'starting' && inStartPeriod()) show({ ...present.health, log });
    else {
      const failingStreak = present.health.failingStreak + 1;
      const status = failingStreak >= (check.Retries || 3) ? 'unhealthy' : present.health.status;
      show({ status, failingStreak, log });
    }
    schedule();
  };
  schedule();
}

/** One run of the check. Exit code -1 where it could not run or took too long. */
async function probe(
  context: Context,
  container: Container,
  parent: Task,
  command: readonly string[],
  timeoutMs: number,
): Promise<{ exitCode: number; output: string }> {
  const id = randomBytes(32).toString('hex');
  const directory = context.taskDirectory(`exec-${id}`);
  try {
    const { passwd, group } = userFilesIn(await context.driver.mounts(container.id));
    const task = await parent.exec({
      id,
      directory,
      process: composeExecProcess({
        container,
        options: { command },
        passwd,
        group,
        linkEnvironment: linkEnvironment(context, container),
      }),
      stdio: { terminal: false, stdin: false },
    });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      task.kill(9).catch(() => undefined); // it ended meanwhile
    }, timeoutMs);
    try {
      const io = await task.attach();
      const collected = collect(io.output);
      await task.start();
      const { code } = await task.wait();
      const output = await collected;
      await io[Symbol.asyncDispose]();
      return late
        ? { exitCode: -1, output: `Health check exceeded timeout (${timeoutMs / 1000}s)` }
        : { exitCode: code, output };
    } finally {
      clearTimeout(timer);
      await task.delete();
    }
  } catch (error) {
    if (!isGantryError(error)) throw error;
    return { exitCode: -1, output: messageOf(error) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function collect(chunks: AsyncIterable<{ readonly data: Buffer }>): Promise<string> {
  let text = '';
  for await (const { data } of chunks) if (text.length < outputLimit) text += data.toString('utf8');
  return text.slice(0, outputLimit);
}
