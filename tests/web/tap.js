// Loaded into the page before its own scripts, and once more into its audio thread: records what the page takes from the
// microphone and what it plays, in pairs of blocks of 128 samples.
if (globalThis.registerProcessor) {
  const silence = new Float32Array(128)
  class Recorder extends AudioWorkletProcessor {
    process(inputs) {
      this.port.postMessage(inputs.map(([channel]) => (channel ?? silence).slice()))
      return true
    }
  }
  registerProcessor('recorder', Recorder)
} else {
  globalThis.recorder = {
    sampleRate: 0,
    blocks: [],
    content() {
      const bytes = this.blocks.flat().flatMap((block) => Array.from(new Uint8Array(block.buffer)))
      return btoa(bytes.map((byte) => String.fromCharCode(byte)).join(''))
    },
  }
  const connect = AudioNode.prototype.connect
  const addModule = AudioWorklet.prototype.addModule
  let microphone
  AudioWorklet.prototype.addModule = async function (...module) {
    await addModule.call(this, 'tap.js')
    return addModule.call(this, ...module)
  }
  AudioNode.prototype.connect = function (target, ...rest) {
    if (this instanceof MediaStreamAudioSourceNode) microphone = this
    if (target instanceof AudioDestinationNode) {
      const node = new AudioWorkletNode(this.context, 'recorder', { numberOfInputs: 2 })
      node.port.onmessage = ({ data }) => globalThis.recorder.blocks.push(data)
      globalThis.recorder.sampleRate = this.context.sampleRate
      connect.call(microphone, node, 0, 0)
      connect.call(this, node, 0, 1)
      connect.call(node, target)
    }
    return connect.call(this, target, ...rest)
  }
}
