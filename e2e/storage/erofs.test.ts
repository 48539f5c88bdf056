import { createErofsDriver } from '#snapshots/index.ts';
import { graphDriverSuite } from '../../src/snapshots/graph-driver-suite.ts';

graphDriverSuite('erofs', (root) => createErofsDriver({ root }));
