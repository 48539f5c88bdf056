FROM x
RUN cat <<END
text
