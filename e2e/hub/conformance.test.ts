import { conformanceSuite } from './conformance-suite.ts';
import { hubUnderTest } from './hub-under-test.ts';

conformanceSuite((more) => hubUnderTest(more));
