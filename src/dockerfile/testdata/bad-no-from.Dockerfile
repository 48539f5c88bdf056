# nothing here
ARG x=1
