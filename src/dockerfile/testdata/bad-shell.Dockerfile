FROM x
SHELL /bin/bash
