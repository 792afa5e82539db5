"""`looker-facts`: checks what is assumed about Looker against a running one."""
