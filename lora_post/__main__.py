"""`python -m lora_post`"""

from lora_post.cli import main

main()
