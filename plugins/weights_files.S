/* The weights as they are in the package, found by the assembler's option -I. */
  .section .rodata
  .balign 64
  .globl imse_weights_default, imse_weights_small, imse_weights_end
  .hidden imse_weights_default, imse_weights_small, imse_weights_end
imse_weights_default:
  .incbin "default.safetensors"
imse_weights_small:
  .incbin "small.safetensors"
imse_weights_end:
  .section .note.GNU-stack, "", %progbits
