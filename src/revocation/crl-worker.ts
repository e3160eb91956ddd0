/**
 * The thread that examines lists, so that the one that serves requests never waits for a large one. Answers each job in turn; decides
 * nothing itself.
 */
import { parentPort } from 'node:worker_threads';
import { examineCrl, type ExaminationJob } from './crl-examination.ts';

parentPort?.on('message', (job: ExaminationJob) => {
  parentPort?.postMessage(examineCrl(job), []);
});
