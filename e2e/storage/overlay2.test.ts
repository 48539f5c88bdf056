import { createOverlay2Driver } from '#snapshots/index.ts';
import { graphDriverSuite } from '../../src/snapshots/graph-driver-suite.ts';

graphDriverSuite('overlay2', (root) => createOverlay2Driver({ root }));
