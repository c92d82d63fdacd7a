// A worker per processor core, each with an engine of its own, that share the parts of recordings.

// More would not be busy: parts are read and joined one after the other.
const MOST_WORKERS = 16

export class Pool {
  #workers
  #idle
  #waiting = []

  /** @returns {number} as many workers as the processor has cores */
  static cores() {
    return Math.min(navigator.hardwareConcurrency || 1, MOST_WORKERS)
  }

  /**
   * @param {WebAssembly.Module} module
   * @param {Uint8Array} weights content of a .safetensors file
   */
  static async open(module, weights, size = Pool.cores()) {
    const pool = new Pool()
    pool.#workers = Array.from({ length: size }, () => new Handle())
    try {
      await Promise.all(pool.#workers.map((worker) => worker.call({ task: 'open', module, weights })))
    } catch (error) {
      pool.close()
      throw error
    }
    pool.#idle = [...pool.#workers]
    return pool
  }

  get size() {
    return this.#workers.length
  }

  /** Have a task done by the next worker that is free. An aborted one is not begun. */
  run(job, transfer, signal) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, transfer, signal, resolve, reject })
      this.#next()
    })
  }

  close() {
    this.#workers.forEach((worker) => worker.close())
  }

  #next() {
    while (this.#idle.length && this.#waiting.length) {
      const { job, transfer, signal, resolve, reject } = this.#waiting.shift()
      if (signal?.aborted) {
        reject(signal.reason)
        continue
      }
      const worker = this.#idle.pop()
      const done = () => {
        this.#idle.push(worker)
        this.#next()
      }
      worker.call(job, transfer).then(resolve, reject).finally(done)
    }
  }
}

class Handle {
  #worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' })
  #calls = new Map()
  #count = 0

  constructor() {
    this.#worker.onmessage = ({ data: { id, result, error } }) => {
      const { resolve, reject } = this.#calls.get(id)
      this.#calls.delete(id)
      error === undefined ? resolve(result) : reject(new Error(error))
    }
    this.#worker.onerror = (event) => this.#fail(event.message || 'a worker could not be started')
  }

  call(job, transfer = []) {
    return new Promise((resolve, reject) => {
      const id = this.#count++
      this.#calls.set(id, { resolve, reject })
      this.#worker.postMessage({ id, ...job }, transfer)
    })
  }

  close() {
    this.#worker.terminate()
    this.#fail('the worker was closed')
  }

  #fail(message) {
    for (const { reject } of this.#calls.values()) reject(new Error(message))
    this.#calls.clear()
  }
}
