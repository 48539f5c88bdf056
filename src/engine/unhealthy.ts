import type { Task } from '#runtime/index.ts';
import type { Context } from './context.ts';
import type { Container } from './engine.ts';
import { startHealthMonitor } from './health.ts';
import { startContainer } from './start-container.ts';
import { stopContainer } from './stop-container.ts';

/** Watches a running container's health, and does what was asked for when it fails. */
export function watchHealth(context: Context, container: Container, task: Task): void {
  const { id } = container;
  startHealthMonitor(context, container, task, () => {
    actOn(context, id).catch((error: unknown) => context.options.onError(error, `the unhealthy container ${id}`));
  });
}

async function actOn(context: Context, id: string): Promise<void> {
  const { store, tell } = context;
  const container = store.find(id);
  switch (container.options.onUnhealthy ?? 'none') {
    case 'none':
      return;
    case 'stop':
      tell(container, 'health_action: stop');
      await stopContainer(context, id);
      return;
    case 'restart': {
      tell(container, 'health_action: restart');
      await stopContainer(context, id, { byUser: false });
      const stopped = store.get(id);
      // Removed, or stopped by a person, meanwhile.
      if (stopped === undefined || stopped.stoppedByUser) return;
      store.put({ ...stopped, restartCount: stopped.restartCount + 1 });
      await startContainer(context, id);
      tell(store.find(id), 'restart');
    }
  }
}
