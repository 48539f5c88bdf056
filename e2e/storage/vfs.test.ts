import { createVfsDriver } from '#snapshots/index.ts';
import { graphDriverSuite } from '../../src/snapshots/graph-driver-suite.ts';

graphDriverSuite('vfs', (root) => createVfsDriver({ root }));
